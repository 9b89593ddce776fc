use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::lenient::{Fields, Message, Refused};
use crate::v16::Limited;

/// `GetConfiguration.req` (1.6 section 6.23).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GetConfiguration {
    /// Left out: all keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<Limited<1, 50>>,
}

/// `GetConfiguration.conf` (1.6 section 6.24), read leniently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration<'a> {
    pub keys: Vec<ConfigurationKey<'a>>,
    pub unknown_keys: Vec<Cow<'a, str>>,
}

/// `KeyValue` (1.6 section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationKey<'a> {
    pub key: Cow<'a, str>,
    /// `None` where the charger did not say.
    pub readonly: Option<bool>,
    /// `None` where a key is not set, or is not shown.
    pub value: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> for Configuration<'a> {
    fn read(fields: &mut Fields<'a, '_>) -> Result<Self, Refused> {
        Ok(Self {
            keys: fields.objects("configurationKey", |item| {
                Some(ConfigurationKey {
                    key: item.text("key", 50)?,
                    readonly: item.boolean("readonly"),
                    value: item.text("value", 500),
                })
            }),
            unknown_keys: fields.texts("unknownKey", 50),
        })
    }
}
