use serde::{Serialize, Serializer};

/// Why a call could not be answered: the words of OCPP-J 1.6 section 4.2.3, spelled as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The action is not known.
    NotImplemented,
    /// The action is known but not supported.
    NotSupported,
    /// It could not be done just now, through no fault of the sender.
    InternalError,
    /// The payload is incomplete.
    ProtocolError,
    SecurityError,
    /// Not a message, or its payload is not of its shape.
    FormationViolation,
    /// A field has an invalid value.
    PropertyConstraintViolation,
    /// A field is missing, or there too often. The specification's spelling has one r.
    OccurenceConstraintViolation,
    /// A field is of another type.
    TypeConstraintViolation,
    GenericError,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotImplemented => "NotImplemented",
            Self::NotSupported => "NotSupported",
            Self::InternalError => "InternalError",
            Self::ProtocolError => "ProtocolError",
            Self::SecurityError => "SecurityError",
            Self::FormationViolation => "FormationViolation",
            Self::PropertyConstraintViolation => "PropertyConstraintViolation",
            Self::OccurenceConstraintViolation => "OccurenceConstraintViolation",
            Self::TypeConstraintViolation => "TypeConstraintViolation",
            Self::GenericError => "GenericError",
        }
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
