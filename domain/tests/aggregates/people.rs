//! Drivers and their tokens.

use domain::Refusal;
use domain::driver::{Driver, DriverCommand, DriverEvent};
use domain::id::{DriverId, Sealed};
use domain::token::TokenCommand::{Block, Register, Unblock};
use domain::token::TokenEvent::{TokenBlocked, TokenRegistered, TokenUnblocked};
use domain::token::{Token, TokenDetails, TokenStatus};

use crate::support::{Row, at, check, id, state};

fn card(driver: u128) -> TokenDetails {
    TokenDetails {
        token_id: id(1),
        kind: "ISO14443".into(),
        value: Sealed("sealed".into()),
        driver_id: Some(id(driver)),
        group: Some("FAMILY".into()),
        expires_at: Some(at(60)),
    }
}

#[test]
fn tokens() {
    let registered = || vec![TokenRegistered(card(7))];
    let sealed_anew = TokenDetails { value: Sealed("the same under another nonce".into()), ..card(7) };
    let renewed = TokenDetails { expires_at: Some(at(600)), ..card(7) };
    let somebody_elses = Refusal::AlreadyExists("The token is registered already, to somebody else.");
    let unknown = Refusal::TokenUnknown;
    #[rustfmt::skip]
    let table: Vec<Row<Token>> = vec![
        ("registered", vec![], Register(card(7)), Ok(registered())),
        ("registered again", registered(), Register(sealed_anew), Ok(vec![])),
        ("renewed", registered(), Register(renewed.clone()), Ok(vec![TokenRegistered(renewed)])),
        ("registered to another driver", registered(), Register(card(8)), Err(somebody_elses.clone())),
        ("registered to nobody", registered(), Register(TokenDetails { driver_id: None, ..card(7) }), Err(somebody_elses)),
        ("blocked", registered(), Block, Ok(vec![TokenBlocked {}])),
        ("blocked twice", [registered(), vec![TokenBlocked {}]].concat(), Block, Ok(vec![])),
        ("unblocked", [registered(), vec![TokenBlocked {}]].concat(), Unblock, Ok(vec![TokenUnblocked {}])),
        ("unblocked, but not blocked", registered(), Unblock, Ok(vec![])),
        ("blocked, but unknown", vec![], Block, Err(unknown.clone())),
        ("unblocked, but unknown", vec![], Unblock, Err(unknown)),
    ];
    check::<Token>(table);
}

#[test]
fn how_a_token_stands() {
    let registered = TokenRegistered(card(7));
    #[rustfmt::skip]
    let table = [
        ("nobody registered it", vec![], 0, None),
        ("registered", vec![registered.clone()], 59, Some(TokenStatus::Accepted)),
        ("past its time", vec![registered.clone()], 60, Some(TokenStatus::Expired)),
        ("blocked", vec![registered.clone(), TokenBlocked {}], 59, Some(TokenStatus::Blocked)),
        ("blocked and past its time", vec![registered.clone(), TokenBlocked {}], 60, Some(TokenStatus::Blocked)),
        ("unblocked", vec![registered, TokenBlocked {}, TokenUnblocked {}], 0, Some(TokenStatus::Accepted)),
    ];
    for (case, given, minute, expected) in table {
        assert_eq!(state::<Token>(given).status(at(minute)), expected, "{case}");
    }
}

#[test]
fn drivers() {
    use DriverEvent::{DriverErased, DriverRegistered, PlanActivated, PlanEnded};
    let driver_id: DriverId = id(7);
    let registered = || vec![DriverRegistered { driver_id }];
    let active = || [registered(), vec![PlanActivated { plan_id: id(1) }]].concat();
    let erased = || [registered(), vec![DriverErased { driver_id }]].concat();
    let activate = |plan| DriverCommand::ActivatePlan { plan_id: id(plan) };
    let unknown = Refusal::DriverUnknown;
    #[rustfmt::skip]
    let table: Vec<Row<Driver>> = vec![
        ("registered", vec![], DriverCommand::Register { driver_id }, Ok(registered())),
        ("registered twice", registered(), DriverCommand::Register { driver_id }, Ok(vec![])),
        ("a plan", registered(), activate(1), Ok(vec![PlanActivated { plan_id: id(1) }])),
        ("the same plan", active(), activate(1), Ok(vec![])),
        ("another plan ends the first", active(), activate(2), Ok(vec![PlanEnded { plan_id: id(1) }, PlanActivated { plan_id: id(2) }])),
        ("the plan ended", active(), DriverCommand::EndPlan, Ok(vec![PlanEnded { plan_id: id(1) }])),
        ("no plan to end", registered(), DriverCommand::EndPlan, Ok(vec![])),
        ("a plan for nobody", vec![], activate(1), Err(unknown.clone())),
        ("erased", registered(), DriverCommand::Erase, Ok(vec![DriverErased { driver_id }])),
        ("erased, and the plan ends", active(), DriverCommand::Erase, Ok(vec![PlanEnded { plan_id: id(1) }, DriverErased { driver_id }])),
        ("erased twice", erased(), DriverCommand::Erase, Ok(vec![])),
        ("nobody is back from that", erased(), DriverCommand::Register { driver_id }, Err(unknown.clone())),
        ("a plan for an erased driver", erased(), activate(1), Err(unknown.clone())),
        ("nobody erased", vec![], DriverCommand::Erase, Err(unknown.clone())),
        ("nobody's plan ended", vec![], DriverCommand::EndPlan, Err(unknown)),
    ];
    check::<Driver>(table);
    assert_eq!(state::<Driver>(active()).plan_id, Some(id(1)));
}

#[test]
fn a_group_fits_a_charger() {
    let tag = Driver::group_tag(DriverId::generate());
    assert_eq!((tag.len(), tag.chars().all(|c| c.is_ascii_hexdigit())), (20, true));
}
