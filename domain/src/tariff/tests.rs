//! The pricing function as tables. Times of sessions are UTC; Berlin is UTC+1 in winter, UTC+2 in summer.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Europe::Berlin;
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::*;

/// Start, readings (time, Wh), stop, departure.
struct Session {
    started_at: &'static str,
    readings: &'static [(&'static str, i64)],
    stopped_at: &'static str,
    departed_at: &'static str,
}

fn at(text: &str) -> DateTime<Utc> {
    format!("{text}Z").parse().unwrap()
}

fn facts(session: &Session, tariff: &Tariff, zone: Tz) -> ChargeFacts {
    let some = |text: &str| (!text.is_empty()).then(|| at(text));
    let mut charge = ChargeFacts::started(some(session.started_at));
    for (time, wh) in session.readings {
        charge.push_reading(some(time), Decimal::from(*wh), Some((tariff, zone)));
    }
    charge.stop(some(session.stopped_at));
    if let Some(departed_at) = some(session.departed_at) {
        charge.depart(departed_at);
    }
    charge
}

fn tariff(content: &Value) -> Tariff {
    let mut tariff = json!({"currency": "EUR", "tax_included": true});
    tariff.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    Tariff::parse(&tariff).unwrap()
}

/// One element for each price of energy, with its restrictions.
fn energy(elements: &[(&str, Value)]) -> Value {
    let element = |(price, restrictions): &(&str, Value)| json!({"price_components": [{"type": "ENERGY", "price": price}], "restrictions": restrictions});
    json!({"elements": elements.iter().map(element).collect::<Vec<_>>()})
}

fn time(elements: &[(&str, Value)]) -> Value {
    serde_json::from_str(&energy(elements).to_string().replace("ENERGY", "TIME")).unwrap()
}

const fn charge(
    started_at: &'static str,
    readings: &'static [(&'static str, i64)],
    stopped_at: &'static str,
) -> Session {
    Session { started_at, readings, stopped_at, departed_at: "" }
}

/// Two hours around midnight in Berlin, 20 kWh.
const MIDNIGHT: Session = charge("2024-07-01T21:00:00", &[("2024-07-01T23:00:00", 20_000)], "2024-07-01T23:00:00");
/// From 00:00 to 06:00 on the wall, in the night in which 02:00–03:00 does not exist: five hours.
const SPRING: Session = charge("2024-03-30T23:00:00", &[("2024-03-31T04:00:00", 50_000)], "2024-03-31T04:00:00");
/// From 00:00 to 06:00 on the wall, in the night in which 02:00–03:00 comes twice: seven hours.
const AUTUMN: Session = charge("2024-10-26T22:00:00", &[("2024-10-27T05:00:00", 70_000)], "2024-10-27T05:00:00");
/// One hour, 10 kWh, then an hour and a half of parking.
const PARKED: Session = Session {
    started_at: "2024-07-01T10:00:00",
    readings: &[("2024-07-01T11:00:00", 10_000)],
    stopped_at: "2024-07-01T11:00:00",
    departed_at: "2024-07-01T12:30:00",
};
/// 50 minutes 30 seconds, 10,200 Wh.
const ODD: Session = charge("2024-07-01T10:00:00", &[("2024-07-01T10:50:30", 10_200)], "2024-07-01T10:50:30");
const NO_TIME_AT_ALL: Session = charge("2024-07-01T10:00:00", &[("2024-07-01T10:00:00", 500)], "2024-07-01T10:00:00");

#[test]
fn prices() {
    let night = json!({"start_time": "22:00", "end_time": "00:00"});
    let early = json!({"start_time": "02:30", "end_time": "05:00"});
    let all = || json!({});
    let component = |kind: &str, price: &str, step: u32| json!({"type": kind, "price": price, "step_size": step});
    let components = |list: &[Value]| json!({"elements": [{"price_components": list}]});
    let with = |mut content: Value, key: &str, value: Value| {
        content[key] = value;
        content
    };
    let vat = json!([{"name": "VAT", "percent": 19}]);
    let two_taxes = json!([{"name": "GST", "percent": 5}, {"name": "QST", "percent": 9.975}]);

    #[rustfmt::skip]
    let table: Vec<(&str, Value, Tz, &Session, &str, bool)> = vec![
        ("energy", energy(&[("0.49", all())]), Berlin, &MIDNIGHT, "9.80 EUR", false),
        ("until midnight", energy(&[("0.30", night.clone()), ("0.50", all())]), Berlin, &MIDNIGHT, "8.00 EUR", false),
        ("past midnight", energy(&[("0.30", json!({"start_time": "22:00", "end_time": "00:30"})), ("0.50", all())]), Berlin, &MIDNIGHT, "7.00 EUR", false),
        ("another zone", energy(&[("0.30", night.clone()), ("0.50", all())]), Tz::UTC, &MIDNIGHT, "8.00 EUR", false),
        ("half-hour zone: 02:30 to 04:30", energy(&[("0.30", json!({"end_time": "03:00"})), ("0.50", all())]), chrono_tz::Asia::Kolkata, &MIDNIGHT, "9.00 EUR", false),
        ("quarter-hour zone: 02:45 to 04:45", energy(&[("0.30", json!({"end_time": "03:00"})), ("0.50", all())]), chrono_tz::Asia::Kathmandu, &MIDNIGHT, "9.50 EUR", false),
        ("weekday: Monday into Tuesday", energy(&[("0.30", json!({"days_of_week": ["TUESDAY"]})), ("0.50", all())]), Berlin, &MIDNIGHT, "8.00 EUR", false),
        ("a date", energy(&[("0.30", json!({"start_date": "2024-07-02"})), ("0.50", all())]), Berlin, &MIDNIGHT, "8.00 EUR", false),
        ("until a date", energy(&[("0.30", json!({"end_date": "2024-07-02"})), ("0.50", all())]), Berlin, &MIDNIGHT, "8.00 EUR", false),
        ("spring: two hours of 02:30 to 05:00 exist", time(&[("1", early.clone())]), Berlin, &SPRING, "2.00 EUR", false),
        ("spring: a window inside the gap", time(&[("1", json!({"start_time": "02:15", "end_time": "02:45"}))]), Berlin, &SPRING, "0.00 EUR", false),
        ("spring: all five hours", time(&[("1", all())]), Berlin, &SPRING, "5.00 EUR", false),
        ("autumn: 02:30 to 05:00 is three hours", time(&[("1", early.clone())]), Berlin, &AUTUMN, "3.00 EUR", false),
        ("autumn: until 02:30 is three hours, two and a half and a half", time(&[("1", json!({"end_time": "02:30"}))]), Berlin, &AUTUMN, "3.00 EUR", false),
        ("autumn: energy follows", energy(&[("0.10", early), ("0", all())]), Berlin, &AUTUMN, "3.00 EUR", false),
        ("no element holds", energy(&[("0.30", json!({"days_of_week": ["SUNDAY"]}))]), Berlin, &MIDNIGHT, "0.00 EUR", false),
        ("duration", time(&[("6", json!({"min_duration_s": 3600})), ("3", all())]), Berlin, &MIDNIGHT, "9.00 EUR", false),
        ("until a duration", time(&[("0", json!({"max_duration_s": 1800})), ("3", all())]), Berlin, &MIDNIGHT, "4.50 EUR", false),
        ("kWh threshold", energy(&[("0.30", json!({"min_kwh": 12.5})), ("0.50", all())]), Berlin, &MIDNIGHT, "8.50 EUR", false),
        ("until a kWh threshold", energy(&[("0", json!({"max_kwh": 5})), ("0.50", all())]), Berlin, &MIDNIGHT, "7.50 EUR", false),
        ("time from a kWh threshold on", time(&[("4", json!({"min_kwh": 10}))]), Berlin, &MIDNIGHT, "4.00 EUR", false),
        ("power reached", energy(&[("0.79", json!({"min_power_w": 10_000})), ("0.49", all())]), Berlin, &MIDNIGHT, "15.80 EUR", false),
        ("power not reached", energy(&[("0.79", json!({"min_power_w": 10_001})), ("0.49", all())]), Berlin, &MIDNIGHT, "9.80 EUR", false),
        ("parking", components(&[component("TIME", "2", 1), component("PARKING_TIME", "4", 1)]), Berlin, &PARKED, "8.00 EUR", false),
        ("a flat fee", components(&[component("FLAT", "0.35", 1), component("ENERGY", "0.5", 1)]), Berlin, &PARKED, "5.35 EUR", false),
        ("step of energy", components(&[component("ENERGY", "0.50", 1000)]), Berlin, &ODD, "5.50 EUR", false),
        ("step of time", components(&[component("TIME", "6", 300)]), Berlin, &ODD, "5.50 EUR", false),
        ("step of parking only, if both", components(&[component("TIME", "6", 5000), component("PARKING_TIME", "6", 3600)]), Berlin, &PARKED, "18.00 EUR", false),
        ("rounded half-up", energy(&[("0.0005", all())]), Berlin, &PARKED, "0.01 EUR", false),
        ("rounded down", energy(&[("0.0004", all())]), Berlin, &PARKED, "0.00 EUR", false),
        ("thirds of an hour add up before they are rounded", time(&[("0.005", json!({"max_duration_s": 1200})), ("0.005", json!({"max_duration_s": 2400})), ("0.005", json!({"max_duration_s": 3600}))]), Berlin, &PARKED, "0.01 EUR", false),
        ("yen have no digits", with(energy(&[("49.95", all())]), "currency", json!("JPY")), Berlin, &PARKED, "500 JPY", false),
        ("dinars have three", with(energy(&[("0.04995", all())]), "currency", json!("KWD")), Berlin, &PARKED, "0.500 KWD", false),
        ("minimum price", with(energy(&[("0.49", all())]), "min_price", json!("7.5")), Berlin, &PARKED, "7.50 EUR", false),
        ("above the minimum", with(energy(&[("0.49", all())]), "min_price", json!("1")), Berlin, &PARKED, "4.90 EUR", false),
        ("tax included", with(energy(&[("0.49", all())]), "taxes", vat.clone()), Berlin, &PARKED, "4.90 EUR", false),
        ("tax excluded", with(with(energy(&[("0.49", all())]), "taxes", vat.clone()), "tax_included", json!(false)), Berlin, &PARKED, "5.83 EUR", false),
        ("two taxes don't compound", with(with(energy(&[("0.40", all())]), "taxes", two_taxes), "tax_included", json!(false)), Berlin, &PARKED, "4.60 EUR", false),
        ("minimum before taxes", with(with(with(energy(&[("0.1", all())]), "taxes", vat), "tax_included", json!(false)), "min_price", json!("10")), Berlin, &PARKED, "11.90 EUR", false),
        ("no time, some energy", components(&[component("TIME", "6", 300), component("ENERGY", "0.5", 1), component("FLAT", "1", 1)]), Berlin, &NO_TIME_AT_ALL, "1.25 EUR", false),
    ];
    for (case, content, zone, session, total, estimated) in table {
        let tariff = tariff(&content);
        let priced = price(&tariff, zone, &facts(session, &tariff, zone));
        assert_eq!(priced.total.to_string(), total, "{case}: {priced:#?}");
        assert_eq!(priced.estimated, estimated, "{case}");
        let stored = serde_json::to_string(&priced).unwrap();
        assert_eq!(serde_json::from_str::<PricedSession>(&stored).unwrap(), priced, "{case}");
    }
}

#[test]
fn what_is_missing_is_an_estimate_and_never_zero() {
    let content = json!({"min_price": "1", "elements": [
        {"price_components": [{"type": "ENERGY", "price": "0.30"}], "restrictions": {"end_time": "06:00"}},
        {"price_components": [{"type": "ENERGY", "price": "0.60"}, {"type": "TIME", "price": "2"}, {"type": "FLAT", "price": "1"}]},
    ]});
    let tariff = tariff(&content);
    const START: &str = "2024-07-01T10:00:00";
    const STOP: &str = "2024-07-01T11:00:00";
    #[rustfmt::skip]
    let table = [
        ("energy unknown", charge(START, &[], STOP), "3.00 EUR", &[LineKind::Time, LineKind::Flat][..]),
        ("start unknown: energy alone", charge("", &[(STOP, 10_000)], STOP), "6.00 EUR", &[LineKind::Energy]),
        ("stop unknown: energy alone", charge(START, &[("", 10_000)], ""), "6.00 EUR", &[LineKind::Energy]),
        ("stop before start: energy alone", charge(STOP, &[(START, 10_000)], START), "6.00 EUR", &[LineKind::Energy]),
        ("a year and more: energy alone", charge("2020-01-01T00:00:00", &[(STOP, 10_000)], STOP), "6.00 EUR", &[LineKind::Energy]),
        ("nothing known", charge("", &[], ""), "0.00 EUR", &[]),
        ("nothing at the stop", charge(START, &[("2024-07-01T10:30:00", 5_000)], STOP), "6.00 EUR", &[LineKind::Energy, LineKind::Time, LineKind::Flat]),
    ];
    for (case, session, total, kinds) in table {
        let priced = price(&tariff, Berlin, &facts(&session, &tariff, Berlin));
        assert_eq!(priced.total.to_string(), total, "{case}: {priced:#?}");
        assert_eq!(priced.lines.iter().map(|line| line.kind).collect::<Vec<_>>(), kinds, "{case}");
        assert!(priced.estimated, "{case}");
    }
    // Every price of energy depends on the time, and that is not known: the lowest.
    let by_time = self::tariff(&energy(&[
        ("0.60", json!({"start_time": "06:00", "end_time": "20:00"})),
        ("0.30", json!({"end_time": "06:00"})),
    ]));
    let priced = price(&by_time, Berlin, &facts(&charge("", &[("", 10_000)], ""), &by_time, Berlin));
    assert_eq!(priced.total.to_string(), "3.00 EUR");
}

#[test]
fn taxes_and_periods_are_shown() {
    let content = json!({"taxes": [{"name": "VAT", "percent": 19}], "elements": [
        {"price_components": [{"type": "ENERGY", "price": "0.30"}], "restrictions": {"start_time": "22:00", "end_time": "00:00"}},
        {"price_components": [{"type": "ENERGY", "price": "0.50"}]},
    ]});
    let tariff = tariff(&content);
    let priced = price(&tariff, Berlin, &facts(&MIDNIGHT, &tariff, Berlin));
    assert_eq!(priced.before_taxes.to_string(), "6.72268907563");
    assert_eq!(priced.taxes[0].amount.to_string(), "1.27731092437");
    let periods: Vec<_> = priced.periods.iter().map(|p| (p.from, p.to, p.energy_wh, p.energy_element)).collect();
    let ten = Some(Decimal::from(10_000));
    assert_eq!(
        periods,
        [
            (at("2024-07-01T21:00:00"), at("2024-07-01T22:00:00"), ten, Some(0)),
            (at("2024-07-01T22:00:00"), at("2024-07-01T23:00:00"), ten, Some(1)),
        ]
    );
}

/// A tariff with every kind of boundary.
fn demanding() -> Tariff {
    tariff(&json!({"taxes": [{"name": "VAT", "percent": 19}], "tax_included": false, "elements": [
        {"price_components": [{"type": "ENERGY", "price": "0.27"}, {"type": "TIME", "price": "0.1"}],
         "restrictions": {"start_time": "23:10", "end_time": "02:30", "days_of_week": ["SATURDAY", "SUNDAY"]}},
        {"price_components": [{"type": "ENERGY", "price": "0.91"}], "restrictions": {"min_power_w": 9000, "min_kwh": 3.3}},
        {"price_components": [{"type": "ENERGY", "price": "0.45"}, {"type": "TIME", "price": "1"}], "restrictions": {"max_kwh": 31.7}},
        {"price_components": [{"type": "TIME", "price": "5"}], "restrictions": {"min_duration_s": 20_000}},
        {"price_components": [{"type": "ENERGY", "price": "0.61"}, {"type": "PARKING_TIME", "price": "3"}]},
    ]}))
}

/// 5,000 readings over two nights and the change of the clocks, at a power that wanders around 9 kW.
fn long_session() -> (DateTime<Utc>, Vec<(DateTime<Utc>, Decimal)>) {
    let started_at = at("2024-10-26T13:07:11");
    let mut energy_wh = Decimal::ZERO;
    let readings = (1..=5_000_i64).map(|n| {
        let wander = if (n / 700) % 2 == 0 { 80 } else { 60 };
        energy_wh += Decimal::new(wander * 10 + n % 7, 1);
        (started_at + TimeDelta::seconds(n * 27), energy_wh)
    });
    (started_at, readings.collect())
}

#[test]
fn compacting_changes_no_price_in_whatever_order_readings_come() {
    let tariff = demanding();
    let (started_at, readings) = long_session();
    let mut whole = ChargeFacts::started(Some(started_at));
    let mut compacted = whole.clone();
    for (index, (at, energy_wh)) in readings.iter().enumerate() {
        whole.push_reading(Some(*at), *energy_wh, None);
        // Every block of four comes backwards.
        let (late_at, late_wh) = readings[index / 4 * 4 + 3 - index % 4];
        compacted.push_reading(Some(late_at), late_wh, Some((&tariff, Berlin)));
        if index % 500 == 499 {
            assert_eq!(price(&tariff, Berlin, &whole), price(&tariff, Berlin, &compacted), "after {index}");
        }
    }
    assert_eq!(whole.points().len(), 5_000);
    assert!(compacted.points().len() < 60, "{} points", compacted.points().len());
}

#[test]
fn the_running_cost_at_the_end_is_the_final_one() {
    let tariff = demanding();
    let (started_at, readings) = long_session();
    let mut charge = ChargeFacts::started(Some(started_at));
    let mut before = None;
    for (at, energy_wh) in &readings {
        charge.push_reading(Some(*at), *energy_wh, Some((&tariff, Berlin)));
        let running = price(&tariff, Berlin, &charge);
        assert!(before.is_none_or(|before| before <= running.before_taxes), "the running cost never falls");
        before = Some(running.before_taxes);
    }
    let running = price(&tariff, Berlin, &charge);
    let mut stopped = charge.clone();
    stopped.stop(readings.last().map(|(at, _)| *at));
    assert_eq!(price(&tariff, Berlin, &stopped), running);
    assert!(!running.estimated);
    stopped.depart(at("2024-10-28T12:00:00"));
    let departed = price(&tariff, Berlin, &stopped);
    assert!(departed.total.amount() > running.total.amount());
    let stored: ChargeFacts = serde_json::from_str(&serde_json::to_string(&stopped).unwrap()).unwrap();
    assert_eq!(stored, stopped);
}

#[test]
fn a_late_correction_raises_the_total_without_moving_readings() {
    let tariff = tariff(&energy(&[("1", json!({"end_time": "12:20"})), ("2", json!({}))]));
    let mut charge = ChargeFacts::started(Some(at("2024-07-01T10:00:00")));
    let rules = Some((&tariff, Berlin));
    let wh = |wh: i64| Some(Decimal::from(wh));
    for (time, then_wh, total_wh) in [
        ("2024-07-01T10:20:00", wh(4_000), wh(4_000)),
        ("2024-07-01T10:40:00", wh(8_000), wh(8_000)),
        ("2024-07-01T10:30:00", wh(7_000), wh(8_000)),
        // The register at the start was lower than thought: another kWh, of nobody knows when.
        ("2024-07-01T10:00:00", None, wh(9_000)),
    ] {
        charge.record(Some(at(time)), then_wh, total_wh, rules);
    }
    assert_eq!(price(&tariff, Berlin, &charge).total.to_string(), "14.00 EUR");
}

#[test]
fn contradicting_readings_make_an_estimate() {
    let tariff = tariff(&energy(&[("1", json!({}))]));
    #[rustfmt::skip]
    let table = [
        ("a correction downwards", &[("2024-07-01T10:10:00", 9_000), ("2024-07-01T10:20:00", 5_000)][..], "5.00 EUR"),
        ("late and too high", &[("2024-07-01T10:20:00", 5_000), ("2024-07-01T10:10:00", 9_000)], "5.00 EUR"),
        ("negative", &[("2024-07-01T10:20:00", 5_000), ("2024-07-01T10:30:00", -1)], "5.00 EUR"),
    ];
    for (case, readings, total) in table {
        let mut charge = ChargeFacts::started(Some(at("2024-07-01T10:00:00")));
        for (time, wh) in readings {
            charge.push_reading(Some(at(time)), Decimal::from(*wh), Some((&tariff, Berlin)));
        }
        let priced = price(&tariff, Berlin, &charge);
        assert_eq!((priced.total.to_string().as_str(), priced.estimated), (total, true), "{case}");
    }
}

#[test]
fn a_tariff_is_refused_by_the_name_of_its_field() {
    let valid = json!({"currency": "EUR", "tax_included": true, "taxes": [{"name": "VAT", "percent": 19}],
        "elements": [{"price_components": [{"type": "ENERGY", "price": "0.49", "step_size": 1}], "restrictions": {}}]});
    Tariff::parse(&valid).unwrap();
    #[rustfmt::skip]
    let table = [
        ("/elements", json!([]), "elements"),
        ("/currency", json!("XXX"), "tariff"),
        ("/taxes/0/name", json!(" "), "taxes[0].name"),
        ("/taxes/0/percent", json!(-1), "taxes[0].percent"),
        ("/taxes/0/percent", json!(101), "taxes[0].percent"),
        ("/elements/0/price_components", json!([]), "elements[0].price_components"),
        ("/elements/0/price_components/0/price", json!("-0.1"), "elements[0].price_components[0].price"),
        ("/elements/0/price_components/0/price", json!("0.0000001"), "elements[0].price_components[0].price"),
        ("/elements/0/price_components/0/price", json!(0.49), "tariff"),
        ("/elements/0/price_components/0/step_size", json!(0), "elements[0].price_components[0].step_size"),
        ("/elements/0/restrictions", json!({"start_time": "24:00"}), "tariff"),
        ("/elements/0/restrictions", json!({"min_kwh": 5, "max_kwh": 5}), "elements[0].restrictions.max_kwh"),
        ("/elements/0/restrictions", json!({"min_kwh": -5}), "elements[0].restrictions.min_kwh"),
        ("/elements/0/restrictions", json!({"start_date": "2024-02-02", "end_date": "2024-02-01"}), "elements[0].restrictions.end_date"),
        ("/elements/0/restrictions", json!({"min_duration_s": 9, "max_duration_s": 5}), "elements[0].restrictions.max_duration_s"),
    ];
    for (pointer, value, field) in table {
        let mut wrong = valid.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let error = Tariff::parse(&wrong).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn a_tariff_keeps_its_text() {
    let json = r#"{"currency":"EUR","tax_included":false,"taxes":[{"name":"QST","percent":9.975}],"elements":[{"price_components":[{"type":"PARKING_TIME","price":"4.2","step_size":300}],"restrictions":{"start_time":"08:00","days_of_week":["MONDAY"],"min_kwh":20,"max_duration_s":60}}],"min_price":"0.5","valid_from":"2024-01-01T00:00:00Z"}"#;
    let tariff: Tariff = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&tariff).unwrap(), json);
    assert!(tariff.is_valid_at(at("2024-01-01T00:00:00")) && !tariff.is_valid_at(at("2023-12-31T23:59:59")));
}
