use crate::frame::ErrorCode;

use Direction::{Both, FromCharger, ToCharger};

/// Who may send an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromCharger,
    ToCharger,
    Both,
}

/// An action of OCPP 1.6 edition 2 or of its security whitepaper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    pub name: &'static str,
    pub direction: Direction,
    /// Spoken here. The others are known, so that they are answered as such.
    pub is_supported: bool,
}

const fn spoken(name: &'static str, direction: Direction) -> Action {
    Action { name, direction, is_supported: true }
}

const fn known(name: &'static str, direction: Direction) -> Action {
    Action { name, direction, is_supported: false }
}

pub static ACTIONS: [Action; 39] = [
    spoken("Authorize", FromCharger),
    spoken("BootNotification", FromCharger),
    spoken("ChangeAvailability", ToCharger),
    spoken("ChangeConfiguration", ToCharger),
    spoken("ClearCache", ToCharger),
    // Ours to answer; sending it is not supported yet.
    spoken("DataTransfer", Both),
    spoken("DiagnosticsStatusNotification", FromCharger),
    spoken("FirmwareStatusNotification", FromCharger),
    spoken("GetConfiguration", ToCharger),
    spoken("Heartbeat", FromCharger),
    spoken("MeterValues", FromCharger),
    spoken("RemoteStartTransaction", ToCharger),
    spoken("RemoteStopTransaction", ToCharger),
    spoken("Reset", ToCharger),
    spoken("StartTransaction", FromCharger),
    spoken("StatusNotification", FromCharger),
    spoken("StopTransaction", FromCharger),
    spoken("TriggerMessage", ToCharger),
    spoken("UnlockConnector", ToCharger),
    known("CancelReservation", ToCharger),
    known("ClearChargingProfile", ToCharger),
    known("GetCompositeSchedule", ToCharger),
    known("GetDiagnostics", ToCharger),
    known("GetLocalListVersion", ToCharger),
    known("ReserveNow", ToCharger),
    known("SendLocalList", ToCharger),
    known("SetChargingProfile", ToCharger),
    known("UpdateFirmware", ToCharger),
    // The security whitepaper's.
    known("CertificateSigned", ToCharger),
    known("DeleteCertificate", ToCharger),
    known("ExtendedTriggerMessage", ToCharger),
    known("GetInstalledCertificateIds", ToCharger),
    known("GetLog", ToCharger),
    known("InstallCertificate", ToCharger),
    known("LogStatusNotification", FromCharger),
    known("SecurityEventNotification", FromCharger),
    known("SignCertificate", FromCharger),
    known("SignedFirmwareStatusNotification", FromCharger),
    known("SignedUpdateFirmware", ToCharger),
];

impl Action {
    /// The action of this name in any case of letters; no two differ in case alone.
    pub fn find(name: &str) -> Option<&'static Self> {
        let name = name.trim();
        ACTIONS.iter().find(|action| action.name.eq_ignore_ascii_case(name))
    }

    /// The action that a charger calls.
    ///
    /// # Errors
    /// The code that the call is answered with: `NotImplemented` for one that OCPP 1.6 does not know, `NotSupported` for
    /// one that it knows and that is not spoken here, or not in this direction.
    pub fn called_by_charger(name: &str) -> Result<&'static Self, ErrorCode> {
        let action = Self::find(name).ok_or(ErrorCode::NotImplemented)?;
        if action.is_supported && action.direction != ToCharger { Ok(action) } else { Err(ErrorCode::NotSupported) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn called_by_a_charger() {
        for (name, answer) in [
            ("Heartbeat", Ok("Heartbeat")),
            ("heartbeat", Ok("Heartbeat")),
            ("STOPTRANSACTION", Ok("StopTransaction")),
            ("SecurityEventNotification", Err(ErrorCode::NotSupported)),
            ("SignCertificate", Err(ErrorCode::NotSupported)),
            ("Reset", Err(ErrorCode::NotSupported)),
            ("TransactionEvent", Err(ErrorCode::NotImplemented)),
            ("", Err(ErrorCode::NotImplemented)),
        ] {
            assert_eq!(Action::called_by_charger(name).map(|a| a.name), answer, "{name}");
        }
    }

    #[test]
    fn no_two_actions_differ_in_case_alone() {
        for action in &ACTIONS {
            assert_eq!(Action::find(&action.name.to_uppercase()), Some(action));
        }
    }
}
