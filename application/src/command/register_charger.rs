use domain::charge_point::{ChargePoint, ChargePointCommand, RegisteredChargePoint};
use domain::id::{ChargePointId, ChargePointIdentity, CommandId, SiteId};
use domain::outlet::Evse;
use domain::refusal::Refusal;
use domain::site::Site;
use event_store::Session;

use super::Accepted;
use crate::registry::Proposal;
use crate::work::{Work, decide};
use crate::{Application, CommandContext, Error};

/// How often a credential is proposed while others propose theirs for the same charger.
const PROPOSALS_MAX: usize = 16;

/// An operator makes a charger known.
#[derive(Debug, Clone)]
pub struct RegisterCharger {
    pub identity: ChargePointIdentity,
    /// argon2id, in PHC form, of what the charger will present; none: it needs no password.
    pub credential: Option<String>,
    pub site_id: Option<SiteId>,
    pub evses: Vec<Evse>,
}

pub async fn register_charger(
    app: &Application,
    context: &CommandContext,
    request: RegisterCharger,
) -> Result<Accepted, Error> {
    context.only_operators()?;
    let before = app.answered_before(context).await?;
    let charge_point_id = app.chargers().find_or_make(context.caller.tenant_id, &request.identity).await?;
    let credential = request.credential.clone();
    let accepted = match before {
        // Its answer was lost, and perhaps with the process that had to settle what it had registered.
        Some(accepted) => accepted,
        None => {
            // Before the event: from then on the charger may call.
            let proposal = propose(app, charge_point_id, credential.as_deref()).await?;
            let command_id = context.command_id();
            let registered = app.command(context, command_id, Register { charge_point_id, request, command_id }).await;
            // Where it is not known whether the event stands, the proposal does.
            if let (Err(Error::Refused(_) | Error::RefusedBefore(_)), Some(proposal)) = (&registered, &proposal) {
                app.chargers().withdraw(charge_point_id, proposal).await?;
            }
            registered?
        }
    };
    app.chargers().settle_credential(charge_point_id, credential.as_deref()).await?;
    Ok(accepted)
}

/// Writes the credential of a charger that nobody has registered yet.
///
/// Several may be at it. The log decides whose charger it becomes, and that one settles the credential, after its event. A
/// proposal can't come after that: it is good for the version of the row that was read before the log was asked, and
/// there is another version by then. Who is refused withdraws: the process of the one that was not may have ended before it
/// could settle, and a charger that nobody has registered needs no password.
async fn propose(app: &Application, id: ChargePointId, credential: Option<&str>) -> Result<Option<Proposal>, Error> {
    for _ in 0..PROPOSALS_MAX {
        let version = app.chargers().version(id).await?;
        let is_new = app.store().load::<ChargePoint>(id).await?.version == 0;
        if !is_new {
            return Ok(None);
        }
        if let Some(proposal) = app.chargers().propose_credential(id, version, credential).await? {
            return Ok(Some(proposal));
        }
    }
    Err(Error::Busy)
}

struct Register {
    charge_point_id: ChargePointId,
    request: RegisterCharger,
    command_id: CommandId,
}

impl Work for Register {
    type Output = Accepted;

    async fn run(&self, session: &mut Session) -> Result<Accepted, Error> {
        let RegisterCharger { identity, site_id, evses, .. } = self.request.clone();
        if let Some(site_id) = site_id
            && session.load::<Site>(site_id).await?.details.is_none()
        {
            return Err(Refusal::invalid("site_id", "there is no such site").into());
        }
        let charger_id = Some(identity.as_str().to_owned());
        let details =
            RegisteredChargePoint { charge_point_id: self.charge_point_id, identity, site_id, evses, admitted: false };
        let command = ChargePointCommand::Register(details);
        decide::<ChargePoint>(session, self.charge_point_id, self.charge_point_id, command).await?;
        Ok(Accepted { charger_id, ..Accepted::of(self.command_id) })
    }
}
