use std::borrow::Cow;

/// An enumeration of the specification, by its words on the wire.
pub trait Words: Copy + 'static {
    const ALL: &'static [Self];
    fn as_str(self) -> &'static str;

    /// In any case of letters.
    fn find(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|word| word.as_str().eq_ignore_ascii_case(text))
    }
}

/// A word as the peer wrote it. Enumerations are open: what the specification does not know is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word<'a, E> {
    pub text: Cow<'a, str>,
    pub known: Option<E>,
}

/// Declares an enumeration with its words: readable with [`Words`], and strict with serde.
macro_rules! words {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        $visibility enum $name {
            $($(#[$variant_meta])* #[serde(rename = $text)] $variant,)+
        }

        impl $crate::lenient::Words for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}
pub(crate) use words;
