use crate::lenient::{Fields, Message, Refused, Word, words};

words! {
    /// `DiagnosticsStatus` (1.6 section 7).
    pub enum DiagnosticsStatus {
        Idle = "Idle",
        Uploaded = "Uploaded",
        UploadFailed = "UploadFailed",
        Uploading = "Uploading",
    }
}

/// `DiagnosticsStatusNotification.req` (1.6 section 6.17). Without a status it says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagnosticsStatusNotification<'a> {
    pub status: Word<'a, DiagnosticsStatus>,
}

impl<'a> Message<'a> for DiagnosticsStatusNotification<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        let status = fields.word("status");
        Ok(Self { status: fields.required("status", status)? })
    }
}
