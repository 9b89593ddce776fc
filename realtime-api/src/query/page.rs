//! Pages of lists, by keyset: a cursor says after which row the next one begins, and stays right while rows come and go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::api::query::Page;
use schema::view::{Cursor, Reached};
use service_host::Problem;

use crate::query::answer::Answered;
use crate::state::invalid;

const ITEMS: u32 = 50;
const ITEMS_MAX: u32 = 500;
/// Longer ones are none of ours.
const CURSOR_CHARS_MAX: usize = 512;

/// Which part of a list is asked for.
#[derive(Debug)]
pub struct Paging {
    pub limit: u32,
    pub after: Option<Cursor>,
}

impl Paging {
    pub fn new(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(ITEMS);
        if !(1..=ITEMS_MAX).contains(&limit) {
            return Err(invalid("limit", &format!("is between 1 and {ITEMS_MAX}")));
        }
        let after = match cursor {
            Some(text) => Some(parse(text).ok_or_else(|| invalid("cursor", "is not one that was given as next"))?),
            None => None,
        };
        Ok(Self { limit, after })
    }
}

fn parse(text: &str) -> Option<Cursor> {
    let json = (text.len() <= CURSOR_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
    serde_json::from_slice(&json).ok()
}

fn write(cursor: &Cursor) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(cursor).expect("two texts"))
}

pub fn page<T>(reached: Reached, items: Vec<T>, next: Option<&Cursor>) -> Answered<Page<T>> {
    let body = Page { position: reached.position.0, items, next: next.map(write) };
    Answered { reached, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back() {
        let cursor = Cursor { sort: Some("CP 001/ä".to_owned()), key: "018f".to_owned() };
        let paging = Paging::new(None, Some(&write(&cursor))).expect("our own");
        assert_eq!((paging.limit, paging.after), (ITEMS, Some(cursor)));
    }

    #[test]
    fn refusals_name_the_field() {
        for (limit, cursor, field) in [
            (Some(0), None, "limit"),
            (Some(501), None, "limit"),
            (None, Some("no"), "cursor"),
            (None, Some(""), "cursor"),
        ] {
            let problem = serde_json::to_value(Paging::new(limit, cursor).expect_err("refused")).expect("JSON");
            assert_eq!((&problem["field"], &problem["status"]), (&field.into(), &400.into()), "{limit:?} {cursor:?}");
        }
    }
}
