use cqrs_es::Aggregate;
use domain::Event;
use domain::envelope::Retention;
use domain::id::TokenId;
use domain::token::{Token, TokenEvent};
use schema::view::{Model, TokenRow};

use crate::{Fact, FoldError, ReadModel};

/// Tokens, their values sealed.
pub struct Tokens;

impl ReadModel for Tokens {
    const MODEL: Model = Model::Tokens;
    const VERSION: u32 = 1;
    const RETENTION: &'static [Retention] = &[Retention::Operational];
    type Row = TokenRow;

    fn key(fact: &Fact<'_>) -> Option<String> {
        match fact.event {
            Event::Token(event) => match event {
                TokenEvent::TokenRegistered(_) | TokenEvent::TokenBlocked {} | TokenEvent::TokenUnblocked {} => {
                    Some(fact.stream_key())
                }
            },
            Event::Site(_)
            | Event::ChargePoint(_)
            | Event::StationCommand(_)
            | Event::ChargingSession(_)
            | Event::Driver(_)
            | Event::Plan(_)
            | Event::Tariff(_)
            | Event::ReadModel(_)
            | Event::Disclosure(_)
            | Event::Log(_) => None,
        }
    }

    fn apply(row: Option<TokenRow>, fact: &Fact<'_>) -> Result<TokenRow, FoldError> {
        let Event::Token(event) = fact.event else { return row.ok_or_else(|| fact.no_row(Self::MODEL)) };
        let mut row = match (row, event) {
            (Some(row), _) => row,
            (None, TokenEvent::TokenRegistered(_)) => TokenRow {
                tenant_id: fact.tenant_id(),
                token_id: TokenId(fact.recorded.stream.id),
                token: Token::default(),
                registered_at: fact.recorded_at(),
            },
            (None, _) => return Err(fact.no_row(Self::MODEL)),
        };
        row.token.apply(event.clone());
        Ok(row)
    }
}
