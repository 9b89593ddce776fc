use crate::lenient::{Fields, Message, Refused, Word, words};

words! {
    /// `FirmwareStatus` (1.6 section 7).
    pub enum FirmwareStatus {
        Downloaded = "Downloaded",
        DownloadFailed = "DownloadFailed",
        Downloading = "Downloading",
        Idle = "Idle",
        InstallationFailed = "InstallationFailed",
        Installing = "Installing",
        Installed = "Installed",
    }
}

/// `FirmwareStatusNotification.req` (1.6 section 6.19). Without a status it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareStatusNotification<'a> {
    pub status: Word<'a, FirmwareStatus>,
}

impl<'a> Message<'a> for FirmwareStatusNotification<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        let status = fields.word("status");
        Ok(Self { status: fields.required("status", status)? })
    }
}
