//! A session, from its row alone; its charger's name is looked up.

use domain::session::SessionState;
use schema::api::query;
use schema::view::SessionRow;

use super::At;
use crate::directory::Names;

/// The states of a session that is not over.
pub const OPEN: [SessionState; 3] = [SessionState::Requested, SessionState::Active, SessionState::Stopping];

pub fn compose(row: At<'_, SessionRow>, names: &Names) -> query::Session {
    let session = &row.row.session;
    let requested = session.state == SessionState::Requested;
    let charger = session.charge_point_id.and_then(|id| names.of(id));
    let by_connector = charger.as_ref().is_some_and(|charger| charger.numbers_by_connector);
    let number = if by_connector { session.connector_id.map(|id| id.0) } else { session.evse_id.map(|id| id.0) };
    query::Session {
        session_id: row.row.session_id.to_string(),
        charger_id: charger.map(|charger| charger.identity.to_string()),
        evse_id: session.evse_id.map(|id| id.0),
        connector_id: number,
        transaction_id: session.transaction_id.as_ref().map(ToString::to_string),
        driver_id: session.driver_id.map(|id| id.to_string()),
        state: session.state.as_str().to_owned(),
        charging_state: session.charging_state.as_ref().map(ToString::to_string),
        needs: (requested && session.charging_state.is_none()).then(|| "plug_in".to_owned()),
        deadline_at: session.deadline_at.filter(|_| requested).map(Into::into),
        started_at: session.started_at.map(Into::into),
        stopped_at: session.stopped_at.map(Into::into),
        stop_reason: session.stop_reason.as_ref().map(ToString::to_string),
        energy_wh: session.energy_wh().map(Into::into),
        power_w: session.power_w.map(Into::into),
        soc_percent: session.soc_percent.map(Into::into),
        metered_at: session.metered_at.map(Into::into),
        cost: row.row.cost.as_ref().map(cost),
        failure: session
            .failure
            .as_ref()
            .map(|failure| query::SessionFailure { code: failure.code.clone(), detail: failure.detail.clone() }),
        flags: session.flags.iter().map(ToString::to_string).collect(),
        position: row.position.0,
    }
}

fn cost(cost: &schema::view::SessionCost) -> query::SessionCost {
    let total = cost.priced.total;
    // The total is the one rounded amount; what stands before the taxes is rounded like it, and the taxes are the rest,
    // so that the three always add up.
    let before_taxes = domain::money::Money::round(cost.priced.before_taxes, total.currency());
    let taxes = domain::money::Money::round(total.amount() - before_taxes.amount(), total.currency());
    query::SessionCost {
        amount: digits(total),
        currency: total.currency().to_string(),
        before_taxes: digits(before_taxes),
        taxes: digits(taxes),
        estimated: cost.priced.estimated || cost.revision == 0,
        revision: cost.revision,
    }
}

/// With exactly the digits of its currency.
fn digits(money: domain::money::Money) -> String {
    let text = money.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}
