//! What events are made of, as JSON Schema (draft 7, which AsyncAPI's schemas extend).

use serde_json::{Map, Value, json};

use super::{Alternative, Empty, Kind, Member, Part, Word};

/// Said of every sealed member.
const SEALED: &str = "Sealed under a key of whom it is about: `v1.<key id>.<nonce and ciphertext>`. With \
                      --with-personal-data in the clear, or null where the key was destroyed.";

/// An object with these members. It may have others: those of a newer version.
///
/// `place`: where the parts stand, such as `#/components/schemas/`.
pub fn object(says: &str, members: &[Member], place: &str) -> Value {
    let required: Vec<_> =
        members.iter().filter(|member| member.empty != Empty::Absent).map(|member| member.name.as_str()).collect();
    let properties: Map<_, _> =
        members.iter().map(|member| (member.name.clone(), self::member(member, place))).collect();
    let mut schema = json!({"type": "object", "description": says, "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    schema
}

pub fn part(part: &Part, place: &str) -> Value {
    if part.alternatives.is_empty() {
        return object(&part.says, &part.members, place);
    }
    let alternative = |Alternative { name, says, members }: &Alternative| {
        let within = object(says, members, place);
        json!({
            "type": "object",
            "title": name,
            "required": [name],
            "maxProperties": 1,
            "properties": {name.as_str(): within},
        })
    };
    let alternatives: Vec<_> = part.alternatives.iter().map(alternative).collect();
    json!({"description": part.says, "oneOf": alternatives})
}

fn member(member: &Member, place: &str) -> Value {
    let mut schema = kind(&member.kind, place);
    if member.empty == Empty::Null || member.sealed {
        schema = or_null(schema);
    }
    let mut says = member.says.clone();
    if let Some(known) = known_words(&member.kind) {
        says = format!("{says} Known words: {known}.");
    }
    if member.sealed {
        says = format!("{says} {SEALED}");
        schema["x-coulomb-sealed"] = true.into();
    }
    schema["description"] = says.into();
    schema
}

fn kind(kind: &Kind, place: &str) -> Value {
    match kind {
        Kind::Text { .. } | Kind::FormedText => json!({"type": "string"}),
        Kind::OneOf { words } => {
            let words: Vec<_> = words.iter().map(|word| word.word.as_str()).collect();
            json!({"type": "string", "enum": words})
        }
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Date => json!({"type": "string", "format": "date"}),
        Kind::Decimal => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"}),
        Kind::Number => json!({"type": "number"}),
        Kind::Integer { from_zero, bits_32 } => {
            let (signed, whole) = if *bits_32 {
                ((i64::from(i32::MIN), i64::from(i32::MAX)), i64::from(u32::MAX))
            } else {
                ((i64::MIN, i64::MAX), i64::MAX)
            };
            let (least, most) = if *from_zero { (0, whole) } else { signed };
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Anything => json!({}),
        // What stands beside a reference is not looked at: so it stands below.
        Kind::Object { part } => json!({"allOf": [{"$ref": format!("{place}{part}")}]}),
        Kind::List { of } => json!({"type": "array", "items": self::kind(of, place)}),
    }
}

fn or_null(schema: Value) -> Value {
    match schema.get("type").cloned() {
        Some(Value::String(name)) if schema.get("enum").is_none() => {
            let mut schema = schema;
            schema["type"] = json!([name, "null"]);
            schema
        }
        _ if schema == json!({}) => schema,
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// Of a closed or open list of words: each with what it means, where something is said of it.
pub fn known_words(kind: &Kind) -> Option<String> {
    let words = match kind {
        Kind::Text { words } | Kind::OneOf { words } if !words.is_empty() => words,
        Kind::List { of } => return known_words(of),
        Kind::Text { .. }
        | Kind::FormedText
        | Kind::OneOf { .. }
        | Kind::Uuid
        | Kind::Time
        | Kind::Date
        | Kind::Decimal
        | Kind::Number
        | Kind::Integer { .. }
        | Kind::Boolean
        | Kind::Anything
        | Kind::Object { .. } => return None,
    };
    let said = |Word { word, says }: &Word| match says.trim_end_matches('.') {
        "" => format!("`{word}`"),
        says => format!("`{word}` ({says})"),
    };
    Some(words.iter().map(said).collect::<Vec<_>>().join(", "))
}
