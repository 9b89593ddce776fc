use chrono::{DateTime, TimeDelta, Utc};
use domain::charge_point::{Authorization, AuthorizationStatus, ChargePoint, ChargePointCommand, Claimant, Limits};
use domain::driver::Driver;
use domain::id::{
    AuthorizationId, ChargePointId, ChargePointIdentity, CommandId, ConnectorId, DriverId, EvseId, Outlet, SessionId,
    TokenId,
};
use domain::refusal::Refusal;
use domain::session::{ChargingSession, SessionCommand, SessionRequest};
use domain::station_command::{StationAction, StationCommand, StationCommandCommand, StationRequest};
use event_store::Session;
use schema::api::target::Target;

use super::{Accepted, pricing_at};
use crate::authorize::judge;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// A driver wants to charge.
#[derive(Debug, Clone)]
pub struct StartCharging {
    pub target: Target,
}

/// Requests a session: the session, the claim on the EVSE and the command to the charger, in one append. The same driver
/// asking again where they already have a request or a session is answered with that one.
pub async fn start_charging(
    app: &Application,
    context: &CommandContext,
    request: StartCharging,
) -> Result<Accepted, Error> {
    let Some(driver_id) = context.caller.driver_id() else {
        return Err(Refusal::Forbidden("Operators start sessions at /api/charging/remote_start.").into());
    };
    if let Some(accepted) = app.answered_before(context).await? {
        return Ok(accepted);
    }
    match locate(app, context, &request.target).await {
        Ok((charge_point_id, place)) => {
            let start = Start {
                charge_point_id,
                place,
                payer: Payer::Driver(driver_id),
                kind: "start_charging",
                command_id: context.command_id(),
                now: context.now,
                start_deadline: app.settings().start_deadline,
                command_expiry: app.settings().command_expiry,
            };
            app.command(context, start.command_id, start).await
        }
        Err(Error::Refused(refusal)) => app.refuse(context, refusal.into()).await,
        Err(error) => Err(error),
    }
}

/// The stream of the charger, and where at it.
async fn locate(app: &Application, context: &CommandContext, target: &Target) -> Result<(ChargePointId, Place), Error> {
    match target {
        Target::Connector { charger_id, connector_id } => {
            Ok((charge_point_of(app, context, charger_id).await?, Place::Connector(*connector_id)))
        }
        Target::Evse { charger_id, evse_id } => {
            Ok((charge_point_of(app, context, charger_id).await?, Place::Evse(*evse_id)))
        }
        // Whoever learnt the uid of another tenant's EVSE learns no more than that.
        Target::EvseUid(uid) if app.chargers().is_of(context.caller.tenant_id, uid.charge_point_id).await? => {
            Ok((uid.charge_point_id, Place::Evse(uid.evse_id)))
        }
        Target::EvseUid(_) => Err(Refusal::ChargerUnknown.into()),
    }
}

pub(super) async fn charge_point_of(
    app: &Application,
    context: &CommandContext,
    charger_id: &str,
) -> Result<ChargePointId, Error> {
    let identity = ChargePointIdentity::parse(charger_id).map_err(|_| Refusal::ChargerUnknown)?;
    let entry = app.chargers().find(context.caller.tenant_id, &identity).await?;
    Ok(entry.ok_or(Refusal::ChargerUnknown)?.charge_point_id)
}

/// Where at a charger.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// The number that the charger itself uses.
    Connector(ConnectorId),
    Evse(EvseId),
}

impl Place {
    fn outlet(self, charge_point: &ChargePoint) -> Outlet {
        let (outlet, unknown) = match self {
            Self::Connector(ConnectorId(n)) => (charge_point.outlet_of_v16(n), EvseId(n)),
            Self::Evse(evse_id) => (charge_point.outlet_to_start(evse_id), evse_id),
        };
        // Of what does not exist the claim says so, in its turn.
        outlet.unwrap_or(Outlet { evse_id: unknown, connector_id: ConnectorId(1) })
    }
}

/// For whom a session is.
pub(super) enum Payer {
    Driver(DriverId),
    /// The owner of a token that an operator names.
    Token(TokenId),
    /// An operator starts it, for nobody in particular.
    Nobody,
}

pub(super) struct Start {
    pub charge_point_id: ChargePointId,
    pub place: Place,
    pub payer: Payer,
    pub kind: &'static str,
    pub command_id: CommandId,
    pub now: DateTime<Utc>,
    pub start_deadline: TimeDelta,
    pub command_expiry: TimeDelta,
}

impl Work for Start {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let charge_point = session.load::<ChargePoint>(self.charge_point_id).await?;
        if !charge_point.is_registered() {
            return Err(Refusal::ChargerUnknown.into());
        }
        let site_id = charge_point.site_id;
        let outlet = self.place.outlet(charge_point);
        let Outlet { evse_id, connector_id } = outlet;
        let claim = charge_point.claims.get(&evse_id).cloned();
        let authorization = self.authorization(session, evse_id).await?;
        let (driver_id, plan_id) = (authorization.driver_id, authorization.plan_id);
        if let Some(claim) = claim.filter(|claim| driver_id.is_some() && claim.driver_id == driver_id) {
            return self.answer_with(session, claim.session_id).await;
        }
        let session_id = SessionId::generate();
        // One-off, so that request and transaction match exactly; and nobody's card is sent around.
        let tag = one_off_tag();
        let claimant = Claimant { session_id, command_id: self.command_id, driver_id, remote_tag: tag.clone() };
        let claim = ChargePointCommand::Claim { outlet, claimant };
        decide::<ChargePoint>(session, self.charge_point_id, self.charge_point_id, claim).await?;
        let pricing = pricing_at(session, site_id, plan_id, self.now).await?;
        let group = authorization.group.clone();
        let remote_start_id = rand::random_range(1..=i32::MAX);
        let request = SessionRequest {
            session_id,
            charge_point_id: self.charge_point_id,
            evse_id,
            connector_id: Some(connector_id),
            command_id: self.command_id,
            driver_id,
            authorization,
            remote_tag: tag.clone(),
            remote_start_id,
            pricing,
            requested_at: self.now,
            deadline_at: self.now + self.start_deadline,
        };
        let command = SessionCommand::Request(Box::new(request));
        decide::<ChargingSession>(session, session_id, self.charge_point_id, command).await?;
        let action = StationAction::RemoteStart { outlet, tag, remote_start_id, group };
        let request = StationRequest {
            command_id: self.command_id,
            charge_point_id: self.charge_point_id,
            kind: self.kind.to_owned(),
            action,
            session_id: Some(session_id),
            requested_at: self.now,
            expires_at: self.now + self.command_expiry,
        };
        queue(session, request).await?;
        Ok(Accepted { session_id: Some(session_id), ..Accepted::of(self.command_id) })
    }
}

impl Start {
    /// The driver has a request or a session there: it is the answer, with a command by which it can be followed. Where
    /// nobody had asked for it (it was begun with a card), this command is the one.
    async fn answer_with(&self, session: &mut Session, session_id: SessionId) -> Result<Accepted, Error> {
        let answer = SessionCommand::AnswerStart { command_id: self.command_id };
        decide::<ChargingSession>(session, session_id, self.charge_point_id, answer).await?;
        let command_id = session.load::<ChargingSession>(session_id).await?.answering_command_id();
        Ok(Accepted { session_id: Some(session_id), ..Accepted::of(command_id.unwrap_or(self.command_id)) })
    }

    async fn authorization(&self, session: &mut Session, evse_id: EvseId) -> Result<Authorization, Error> {
        let expires_at = Some(self.now + self.start_deadline);
        let evse_id = Some(evse_id);
        let accepted = Authorization {
            authorization_id: AuthorizationId::generate(),
            status: AuthorizationStatus::Accepted,
            token_id: None,
            evse_id,
            driver_id: None,
            group: None,
            plan_id: None,
            limits: Limits::default(),
            decided_at: self.now,
            expires_at,
        };
        match self.payer {
            Payer::Nobody => Ok(accepted),
            Payer::Driver(driver_id) => {
                let plan_id = session.load::<Driver>(driver_id).await?.plan_id.ok_or(Refusal::NoActivePlan)?;
                let group = Some(Driver::group_tag(driver_id));
                Ok(Authorization { driver_id: Some(driver_id), plan_id: Some(plan_id), group, ..accepted })
            }
            Payer::Token(token_id) => {
                let judged = judge(session, token_id, evse_id, self.now).await?;
                match judged.status {
                    AuthorizationStatus::Accepted => Ok(Authorization { expires_at, ..judged }),
                    AuthorizationStatus::NoActivePlan => Err(Refusal::NoActivePlan.into()),
                    _ => Err(Refusal::invalid("id_tag", "is not a token that may charge").into()),
                }
            }
        }
    }
}

/// Asks the charger: the command's own stream, and its place in the charger's queue.
pub(super) async fn queue(session: &mut Session, request: StationRequest) -> Result<(), Error> {
    let (command_id, charge_point_id) = (request.command_id, request.charge_point_id);
    let command = ChargePointCommand::QueueCommand { command_id };
    decide::<ChargePoint>(session, charge_point_id, charge_point_id, command).await?;
    let command = StationCommandCommand::Request(request);
    decide::<StationCommand>(session, command_id, charge_point_id, command).await?;
    Ok(())
}

/// 20 hex digits: 80 random bits. OCPP 1.6's IdToken has at most 20 characters.
fn one_off_tag() -> String {
    let random: [u8; 10] = rand::random();
    random.iter().map(|byte| format!("{byte:02X}")).collect()
}
