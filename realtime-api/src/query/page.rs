//! Pages of lists, by keyset: a cursor says after which row the next one begins, and stays right while rows come and go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schema::api::query::Page;
use schema::log::{Generation, Position};
use schema::view::{Cursor, Reached};
use serde::{Deserialize, Serialize};
use service_host::Problem;
use sha2::{Digest, Sha256};

use super::when::{Paged, When};
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
    /// Of a page after the first: as of when that was.
    pub paged: Option<Paged>,
    list: ListId,
}

/// Tells a list, with its filters, from others: a position in one of them means nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct ListId(u64);

/// What is behind the text of a cursor.
#[derive(Serialize, Deserialize)]
struct Written {
    list: ListId,
    /// Of a list as it was: of when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    as_of: Option<Position>,
    /// Of a list as it is now: what the page before contained. Cursors that were given before there was this don't say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<(Generation, Position)>,
    #[serde(flatten)]
    after: Cursor,
}

impl Written {
    fn paged(&self) -> Paged {
        match self.as_of {
            Some(position) => Paged::Then(position),
            None => Paged::Now(self.seen.map(|(generation, position)| Reached { generation, position })),
        }
    }
}

impl ListId {
    fn of(list: &str, filters: &impl Serialize) -> Self {
        let asked = serde_json::to_vec(&(list, filters)).expect("texts, ids and times");
        let hash: [u8; 32] = Sha256::digest(asked).into();
        let (first, _) = hash.split_first_chunk().expect("32 bytes");
        Self(u64::from_be_bytes(*first))
    }
}

impl Paging {
    /// Of a list by its name; `filters` are all that a client chooses its rows by, and nothing else.
    ///
    /// # Errors
    /// `invalid-request` 400, which names `limit`, or `cursor` where it was not given for this list with these filters.
    pub fn of(list: &str, filters: &impl Serialize, limit: Option<u32>, cursor: Option<&str>) -> Result<Self, Problem> {
        let limit = limit.unwrap_or(ITEMS);
        if !(1..=ITEMS_MAX).contains(&limit) {
            return Err(invalid("limit", &format!("is between 1 and {ITEMS_MAX}")));
        }
        let list = ListId::of(list, filters);
        let written = match cursor {
            None => None,
            Some(text) => match read(text) {
                None => return Err(invalid("cursor", "is not one that was given as next")),
                Some(written) if written.list != list => {
                    return Err(invalid(
                        "cursor",
                        "was given as next of another list, or with other filters; repeat those, or leave it out to begin",
                    ));
                }
                written => written,
            },
        };
        let paged = written.as_ref().map(Written::paged);
        Ok(Self { limit, after: written.map(|written| written.after), paged, list })
    }

    /// A page of this list.
    pub fn page<T>(&self, when: &When, reached: Reached, items: Vec<T>, next: Option<Cursor>) -> Answered<Page<T>> {
        let (as_of, seen) = match when {
            When::Now(_) => (None, Some((reached.generation, reached.position))),
            When::Then(moment) => (Some(moment.position), None),
        };
        let next = next.map(|after| write(&Written { list: self.list, as_of, seen, after }));
        Answered::new(when, reached, Page { position: reached.position.0, items, next })
    }
}

/// A list that has no further pages.
pub fn whole<T>(when: &When, reached: Reached, items: Vec<T>) -> Answered<Page<T>> {
    Answered::new(when, reached, Page { position: reached.position.0, items, next: None })
}

fn read(text: &str) -> Option<Written> {
    let json = (text.len() <= CURSOR_CHARS_MAX).then(|| URL_SAFE_NO_PAD.decode(text).ok()).flatten()?;
    serde_json::from_slice(&json).ok()
}

fn write(written: &Written) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(written).expect("a number and texts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor { sort: Some("CP 001/ä".to_owned()), key: "018f".to_owned() }
    }

    /// As a page of the list gives it.
    fn next(list: &str, state: Option<&str>) -> String {
        let seen = Some((Generation::FIRST, Position(1_234)));
        write(&Written { list: ListId::of(list, &state), as_of: None, seen, after: cursor() })
    }

    #[test]
    fn a_cursor_comes_back() {
        let paging = Paging::of("chargers", &None::<&str>, None, Some(&next("chargers", None))).expect("our own");
        assert_eq!((paging.limit, paging.after), (ITEMS, Some(cursor())));
        let reached = Reached { generation: Generation::FIRST, position: Position(1_234) };
        assert_eq!(paging.paged, Some(Paged::Now(Some(reached))));
    }

    /// Phones hold them over an update of the servers.
    #[test]
    fn a_cursor_that_does_not_say_what_was_seen_is_taken() {
        let list = serde_json::to_value(ListId::of("chargers", &None::<&str>)).expect("JSON");
        for (more, paged) in [("", Paged::Now(None)), (r#""as_of":7,"#, Paged::Then(Position(7)))] {
            let given = URL_SAFE_NO_PAD.encode(format!(r#"{{"list":{list},{more}"sort":"CP 001/ä","key":"018f"}}"#));
            let paging = Paging::of("chargers", &None::<&str>, None, Some(&given)).expect("our own");
            assert_eq!((paging.after, paging.paged), (Some(cursor()), Some(paged)));
        }
    }

    #[test]
    fn a_cursor_is_of_one_list_and_its_filters() {
        let given = next("sessions", Some("active"));
        let ask = |list, state: Option<&str>| Paging::of(list, &state, Some(3), Some(&given));
        assert!(ask("sessions", Some("active")).is_ok());
        for (list, state) in [("sessions", None), ("sessions", Some("failed")), ("commands", Some("active"))] {
            let problem = serde_json::to_value(ask(list, state).expect_err("refused")).expect("JSON");
            assert_eq!((&problem["field"], &problem["status"]), (&"cursor".into(), &400.into()), "{list} {state:?}");
        }
    }

    #[test]
    fn refusals_name_the_field() {
        // Of no list.
        let unbound = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor()).expect("texts"));
        for (limit, cursor, field) in [
            (Some(0), None, "limit"),
            (Some(501), None, "limit"),
            (None, Some("no"), "cursor"),
            (None, Some(""), "cursor"),
            (None, Some(unbound.as_str()), "cursor"),
        ] {
            let refused = Paging::of("chargers", &(), limit, cursor).expect_err("refused");
            let problem = serde_json::to_value(refused).expect("JSON");
            assert_eq!((&problem["field"], &problem["status"]), (&field.into(), &400.into()), "{limit:?} {cursor:?}");
        }
    }
}
