use std::sync::Arc;

use domain::charge_point::{ChargePoint, ChargePointCommand};
use event_store::Session;

use super::{Circumstances, Link};
use crate::Error;
use crate::vault::Subject;
use crate::work::{Work, decide};

/// What a charger says that changes no session.
#[derive(Debug, Clone)]
pub enum Notice {
    Firmware {
        status: String,
    },
    Diagnostics {
        status: String,
    },
    Data {
        vendor_id: String,
        message_id: Option<String>,
        data: Option<String>,
    },
    /// What could not be understood, as it came.
    Quarantined {
        action: String,
        payload: String,
        why: String,
    },
}

/// Free text is kept up to here, in bytes: the whole frame is never larger than 1 MiB, an event than 512 KiB.
const TEXT_BYTES_MAX: usize = 256 * 1024;

impl Link {
    /// FirmwareStatusNotification, DiagnosticsStatusNotification, DataTransfer, and what nobody understands.
    pub async fn notice(&self, circumstances: &Circumstances, notice: Notice) -> Result<(), Error> {
        // Whose the text is can't be known: it is sealed under the charger's key.
        let subject = Subject::ChargePoint(self.charge_point_id);
        let command = match notice {
            Notice::Firmware { status } => ChargePointCommand::ReportFirmwareStatus { status },
            Notice::Diagnostics { status } => ChargePointCommand::ReportDiagnosticsStatus { status },
            Notice::Data { vendor_id, message_id, data } => {
                let data = match data {
                    Some(data) => Some(self.app.vault().seal(subject, cut(&data)).await?),
                    None => None,
                };
                ChargePointCommand::TransferData { vendor_id, message_id, data }
            }
            Notice::Quarantined { action, payload, why } => {
                let payload = self.app.vault().seal(subject, cut(&payload)).await?;
                ChargePointCommand::Quarantine { action, payload, why }
            }
        };
        let work = Record { link: self.clone(), command };
        self.app.work(&self.envelope(circumstances), Arc::new(work)).await.map(|_| ())
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

struct Record {
    link: Link,
    command: ChargePointCommand,
}

impl Work for Record {
    type Output = ();

    async fn run(&self, session: &mut Session) -> Result<(), Error> {
        let id = self.link.charge_point_id;
        decide::<ChargePoint>(session, id, id, self.command.clone()).await?;
        self.link.guard(session);
        Ok(())
    }
}
