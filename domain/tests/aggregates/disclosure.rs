//! Personal values of the history, shown in the clear.

use domain::disclosure::{Disclosed, Disclosure, DisclosureCommand::Disclose, DisclosureEvent::PersonalDataDisclosed};
use uuid::Uuid;

use crate::support::{Row, check, invalid};

fn disclosed(upto_position: Option<i64>) -> Disclosed {
    Disclosed {
        disclosure_id: Uuid::from_u128(1),
        through: "events show".to_owned(),
        after_position: 10,
        upto_position,
        aggregates: vec![],
        event_types: vec!["TokenRegistered".to_owned()],
        stream: None,
        partition_key: None,
        destination: None,
    }
}

#[test]
fn disclosures() {
    let recorded = |upto| PersonalDataDisclosed(disclosed(upto));
    let nothing = invalid("upto_position", "must be above after_position");
    let again = invalid("disclosure_id", "is that of another disclosure");
    #[rustfmt::skip]
    let table: Vec<Row<Disclosure>> = vec![
        ("of a range", vec![], Disclose(disclosed(Some(11))), Ok(vec![recorded(Some(11))])),
        ("of what is to come", vec![], Disclose(disclosed(None)), Ok(vec![recorded(None)])),
        ("of nothing", vec![], Disclose(disclosed(Some(10))), Err(nothing)),
        ("under an id that was used", vec![recorded(None)], Disclose(disclosed(None)), Err(again)),
    ];
    check::<Disclosure>(table);
}
