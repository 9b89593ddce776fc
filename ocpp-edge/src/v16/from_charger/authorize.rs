use std::borrow::Cow;

use serde::Serialize;

use super::IdTagInfo;
use crate::lenient::{Fields, Message, Refused};
use crate::v16::ID_TAG_MAX_CHARS;

/// `Authorize.req` (1.6 section 6.1): may this tag charge? Without the tag there is no question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize<'a> {
    pub id_tag: Cow<'a, str>,
}

impl<'a> Message<'a> for Authorize<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        let id_tag = fields.text("idTag", ID_TAG_MAX_CHARS);
        Ok(Self { id_tag: fields.required("idTag", id_tag)? })
    }
}

/// `Authorize.conf` (1.6 section 6.2).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeResponse {
    pub id_tag_info: IdTagInfo,
}
