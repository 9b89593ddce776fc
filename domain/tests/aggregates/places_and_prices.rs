//! Sites, tariffs and plans: registered and changed, published in versions.

use domain::Refusal;
use domain::money::Currency;
use domain::plan::{Plan, PlanCommand, PlanDetails, PlanEvent};
use domain::published_tariff::{PublishedTariff, TariffCommand, TariffEvent};
use domain::site::SiteCommand::{Change, Register};
use domain::site::SiteEvent::{SiteChanged, SiteRegistered};
use domain::site::{Address, Coordinates, Site, SiteDetails};
use domain::tariff::Tariff;
use serde_json::json;

use crate::support::{Row, check, decide, id, invalid};

fn site() -> SiteDetails {
    SiteDetails {
        name: "Market square".into(),
        address: Address {
            street: "Markt 1".into(),
            postal_code: Some("10115".into()),
            city: "Berlin".into(),
            country: "DE".into(),
        },
        coordinates: Some(Coordinates { latitude: 52.5, longitude: 13.4 }),
        time_zone: chrono_tz::Europe::Berlin,
        currency: euro(),
        tariff_id: Some(id(1)),
    }
}

fn euro() -> Currency {
    serde_json::from_value(json!("EUR")).unwrap()
}

fn tariff(price: &str) -> Tariff {
    let element = json!({"price_components": [{"type": "ENERGY", "price": price}]});
    Tariff::parse(&json!({"currency": "EUR", "tax_included": true, "elements": [element]})).unwrap()
}

#[test]
fn sites() {
    let registered = || vec![SiteRegistered(site())];
    let renamed = || SiteDetails { name: "Old market".into(), ..site() };
    #[rustfmt::skip]
    let table: Vec<Row<Site>> = vec![
        ("registered", vec![], Register(site()), Ok(registered())),
        ("registered twice", registered(), Register(site()), Err(Refusal::AlreadyExists("The site exists already."))),
        ("changed", registered(), Change(renamed()), Ok(vec![SiteChanged(renamed())])),
        ("changed to what it is", registered(), Change(site()), Ok(vec![])),
        ("changed, but unknown", vec![], Change(site()), Err(invalid("site_id", "there is no such site"))),
        ("a site need not have coordinates", vec![], Register(SiteDetails { coordinates: None, ..site() }), Ok(vec![SiteRegistered(SiteDetails { coordinates: None, ..site() })])),
    ];
    check::<Site>(table);
}

#[test]
fn a_site_must_make_sense() {
    let address = |change: fn(&mut Address)| {
        let mut site = site();
        change(&mut site.address);
        site
    };
    let somewhere =
        |latitude, longitude| SiteDetails { coordinates: Some(Coordinates { latitude, longitude }), ..site() };
    #[rustfmt::skip]
    let table = [
        ("name", SiteDetails { name: "  ".into(), ..site() }),
        ("name", SiteDetails { name: "x".repeat(201), ..site() }),
        ("address.street", address(|address| address.street.clear())),
        ("address.city", address(|address| address.city.clear())),
        ("address.country", address(|address| address.country = "de".into())),
        ("address.country", address(|address| address.country = "DEU".into())),
        ("coordinates.latitude", somewhere(90.1, 0.0)),
        ("coordinates.latitude", somewhere(f64::NAN, 0.0)),
        ("coordinates.longitude", somewhere(0.0, -180.1)),
    ];
    for (expected, site) in table {
        let refused = decide::<Site>(vec![], Register(site));
        assert!(
            matches!(&refused, Err(Refusal::Invalid { field, .. }) if *field == expected),
            "{expected}: {refused:?}"
        );
    }
}

#[test]
fn tariffs() {
    let publish = |name: &str, price| TariffCommand::Publish { name: name.into(), tariff: tariff(price) };
    let published =
        |version, price| vec![TariffEvent::TariffPublished { version, name: "Standard".into(), tariff: tariff(price) }];
    let mut without_elements = tariff("0.49");
    without_elements.elements.clear();
    let empty = TariffCommand::Publish { name: "Standard".into(), tariff: without_elements };
    #[rustfmt::skip]
    let table: Vec<Row<PublishedTariff>> = vec![
        ("the first version", vec![], publish("Standard", "0.49"), Ok(published(1, "0.49"))),
        ("the same again", published(1, "0.49"), publish("Standard", "0.49"), Ok(vec![])),
        ("another price is a new version", published(1, "0.49"), publish("Standard", "0.59"), Ok(published(2, "0.59"))),
        ("no name", vec![], publish(" ", "0.49"), Err(invalid("name", "must not be empty"))),
    ];
    check::<PublishedTariff>(table);
    let refused = decide::<PublishedTariff>(vec![], empty);
    assert!(matches!(refused, Err(Refusal::Invalid { field: "tariff", .. })), "{refused:?}");
}

#[test]
fn plans() {
    let details = |tariff| PlanDetails { name: "Commuter".into(), tariff_id: Some(id(tariff)) };
    let published = |version, tariff| vec![PlanEvent::PlanPublished { version, details: details(tariff) }];
    let nameless = PlanDetails { name: String::new(), tariff_id: None };
    #[rustfmt::skip]
    let table: Vec<Row<Plan>> = vec![
        ("the first version", vec![], PlanCommand::Publish(details(1)), Ok(published(1, 1))),
        ("the same again", published(1, 1), PlanCommand::Publish(details(1)), Ok(vec![])),
        ("another tariff is a new version", published(1, 1), PlanCommand::Publish(details(2)), Ok(published(2, 2))),
        ("no name", vec![], PlanCommand::Publish(nameless), Err(invalid("name", "must not be empty"))),
    ];
    check::<Plan>(table);
}
