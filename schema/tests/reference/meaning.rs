//! What is said of events, put together from the fingerprints of their structure and the comments in `domain`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use domain::event::AggregateType;
use schema::golden::GOLDEN;
use schema::reference::{Alternative, Empty, EventMeaning, Kind, Meanings, Member, Part, Word};
use syn::{GenericArgument, PathArguments};

use crate::source::{self, Holds, Shape, Source, Type};

/// By the path of each member: what it is, in the words of the fingerprint.
type Fingerprint = BTreeMap<String, String>;

pub struct Gathered {
    pub meanings: Meanings,
    /// What nothing is said of.
    pub missing: Vec<String>,
}

pub fn gather() -> Gathered {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let source = Source::read(&crates.join("domain/src"));
    let mut gatherer = Gatherer { source: &source, meanings: Meanings::default(), missing: vec![] };
    for aggregate in AggregateType::ALL {
        for (event_type, version) in aggregate.event_types() {
            gatherer.event(*aggregate, event_type, version);
        }
    }
    Gathered { meanings: gatherer.meanings, missing: gatherer.missing }
}

struct Gatherer<'s> {
    source: &'s Source,
    meanings: Meanings,
    missing: Vec<String>,
}

/// Where a member is: of which event, at which path of its fingerprint, and what type parameters stand for.
struct Place<'p> {
    fingerprint: &'p Fingerprint,
    path: String,
    named: &'p str,
    parameters: &'p BTreeMap<String, syn::Type>,
}

impl<'s> Gatherer<'s> {
    fn event(&mut self, aggregate: AggregateType, event_type: &str, version: &str) {
        let source = self.source;
        let (events, variant) = source.event(event_type);
        let about = self.said(&events.says, &format!("the events of {}", aggregate.as_str()));
        self.meanings.aggregates.insert(aggregate.as_str().to_owned(), about);
        let fingerprint = fingerprint(aggregate, event_type, version);
        let none = BTreeMap::new();
        let place = Place { fingerprint: &fingerprint, path: String::new(), named: event_type, parameters: &none };
        let members = self.held(&variant.holds, &place);
        let says = self.said(&variant.says, event_type);
        let changes = changes(aggregate, event_type, version);
        let event = EventMeaning { version: version.to_owned(), says, members, changes };
        self.meanings.events.insert(event_type.to_owned(), event);
    }

    fn held(&mut self, holds: &Holds, place: &Place<'_>) -> Vec<Member> {
        match holds {
            Holds::Members(members) => self.members(members, place),
            Holds::Other(ty) => {
                let name = type_name(ty, place.parameters);
                let Shape::Struct(members) = &self.written(&name).shape else {
                    panic!("{}: {name} is no struct", place.named)
                };
                self.members(members, place)
            }
            Holds::Nothing => vec![],
        }
    }

    /// Every member that the fingerprint has at the place.
    fn members(&mut self, declared: &[source::Member], place: &Place<'_>) -> Vec<Member> {
        let members = self.declared(declared, place);
        let mut names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
        names.sort_unstable();
        let of_fingerprint = direct_members(place.fingerprint, &place.path);
        assert_eq!(names, of_fingerprint, "{}: the source has other members than its fingerprint", place.named);
        members
    }

    fn declared(&mut self, declared: &[source::Member], place: &Place<'_>) -> Vec<Member> {
        let mut members = vec![];
        for member in declared {
            if member.flattened {
                let name = type_name(&member.ty, place.parameters);
                let Shape::Struct(declared) = &self.written(&name).shape else { panic!("{name} is no struct") };
                members.extend(self.declared(declared, place));
                continue;
            }
            let path = match place.path.as_str() {
                "" => member.name.clone(),
                path => format!("{path}.{}", member.name),
            };
            let named = format!("{}.{}", place.named, member.name);
            let here = Place { path, named: &named, ..*place };
            members.push(self.member(member, &here));
        }
        members
    }

    fn member(&mut self, declared: &source::Member, place: &Place<'_>) -> Member {
        let nullable = outer(&declared.ty) == "Option";
        let empty = match (declared.left_out_when_empty, nullable) {
            (true, _) => Empty::Absent,
            (false, true) => Empty::Null,
            (false, false) => Empty::Never,
        };
        let kind = self.kind(&declared.ty, place);
        let name = type_name(&declared.ty, place.parameters);
        Member {
            name: declared.name.clone(),
            kind,
            empty,
            sealed: name == "Sealed",
            says: self.said(&declared.says, place.named),
        }
    }

    fn kind(&mut self, ty: &syn::Type, place: &Place<'_>) -> Kind {
        let told = place.fingerprint.get(&place.path);
        let told = told.unwrap_or_else(|| panic!("the fingerprint of {} has no {}", place.named, place.path));
        let told = told.trim_end_matches(", may be absent").trim_end_matches(" or null");
        let name = type_name(ty, place.parameters);
        match told {
            "text" => Kind::Text { words: self.words(&name) },
            "text of a certain form" => Kind::FormedText,
            "UUID" => Kind::Uuid,
            "time" => Kind::Time,
            "date" => Kind::Date,
            "decimal as text" => Kind::Decimal,
            "number" => Kind::Number,
            "integer" => Kind::Integer { from_zero: false, bits_32: false },
            "integer from 0" => Kind::Integer { from_zero: true, bits_32: false },
            "integer of 32 bits at most" => Kind::Integer { from_zero: false, bits_32: true },
            "integer from 0 of 32 bits at most" => Kind::Integer { from_zero: true, bits_32: true },
            "boolean" => Kind::Boolean,
            "anything" => Kind::Anything,
            "list" => {
                let path = format!("{}[]", place.path);
                Kind::List { of: Box::new(self.kind(&item(ty), &Place { path, ..*place })) }
            }
            "object" => self.part(&name, place, Self::object),
            other => match other.strip_prefix("one of: ") {
                Some(_) => Kind::OneOf { words: self.words(&name) },
                None if other.starts_with("object of one of: ") => self.part(&name, place, Self::alternatives),
                None => panic!("{}: {other} is not known here", place.named),
            },
        }
    }

    fn words(&self, name: &str) -> Vec<Word> {
        let word = |word: &str, says: &str| Word { word: word.to_owned(), says: says.to_owned() };
        match self.source.get(name).map(|found| &found.shape) {
            Some(Shape::Words(words)) => words.iter().map(|(name, says)| word(name, says)).collect(),
            Some(Shape::Enum(variants)) => variants.iter().map(|v| word(&v.name, &v.says)).collect(),
            Some(Shape::Struct(_) | Shape::Value) | None => vec![],
        }
    }

    fn part(&mut self, name: &str, place: &Place<'_>, describe: fn(&mut Self, &Type, &Place<'_>) -> Part) -> Kind {
        let source = self.source;
        let found = source.get(name).unwrap_or_else(|| panic!("{}: domain has no type {name}", place.named));
        let here = Place { named: name, parameters: &found.defaults, path: place.path.clone(), ..*place };
        let part = describe(self, found, &here);
        if let Some(known) = self.meanings.parts.insert(name.to_owned(), part.clone()) {
            assert_eq!(known, part, "{name} is not the same everywhere: {}", place.named);
        }
        Kind::Object { part: name.to_owned() }
    }

    fn object(&mut self, found: &Type, place: &Place<'_>) -> Part {
        let Shape::Struct(members) = &self.written(place.named).shape else { panic!("{} is no struct", place.named) };
        let says = self.said(&found.says, place.named);
        Part { says, members: self.members(members, place), alternatives: vec![] }
    }

    fn alternatives(&mut self, found: &Type, place: &Place<'_>) -> Part {
        let Shape::Enum(variants) = &found.shape else { panic!("{} is no enum", place.named) };
        let alternatives = variants.iter().map(|variant| {
            let named = format!("{}.{}", place.named, variant.name);
            let path = format!("{}.{}", place.path, variant.name);
            let says = self.said(&variant.says, &named);
            let members = self.held(&variant.holds, &Place { path, named: &named, ..*place });
            Alternative { name: variant.name.clone(), says, members }
        });
        let alternatives = alternatives.collect();
        Part { says: self.said(&found.says, place.named), members: vec![], alternatives }
    }

    /// The type that is written where `name` is.
    fn written(&self, name: &str) -> &'s Type {
        let source = self.source;
        let found = source.get(name).unwrap_or_else(|| panic!("domain has no type {name}"));
        found.written_as.as_deref().and_then(|written| source.get(written)).unwrap_or(found)
    }

    fn said(&mut self, says: &str, of: &str) -> String {
        let of = of.to_owned();
        if says.is_empty() && !self.missing.contains(&of) {
            self.missing.push(of);
        }
        says.to_owned()
    }
}

/// The names of what is directly below a path.
fn direct_members<'f>(fingerprint: &'f Fingerprint, path: &str) -> Vec<&'f str> {
    let below = |of: &'f str| match path {
        "" => Some(of),
        path => of.strip_prefix(path)?.strip_prefix('.'),
    };
    let direct = |name: &&str| !name.is_empty() && !name.contains(['.', '[']);
    let mut names: Vec<_> = fingerprint.keys().filter_map(|of| below(of)).filter(direct).collect();
    names.sort_unstable();
    names
}

fn fingerprint(aggregate: AggregateType, event_type: &str, version: &str) -> Fingerprint {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fingerprints").join(aggregate.as_str());
    let file = folder.join(format!("{event_type}.v{version}.txt"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.lines().filter_map(|line| line.split_once(": ")).map(|(path, told)| (path.into(), told.into())).collect()
}

/// How older versions differ in structure from the next.
fn changes(aggregate: AggregateType, event_type: &str, newest: &str) -> BTreeMap<String, Vec<String>> {
    let mut versions: Vec<u32> = GOLDEN
        .iter()
        .filter(|golden| golden.aggregate == aggregate.as_str() && golden.event_type == event_type)
        .map(|golden| golden.version.parse().expect("versions are whole numbers"))
        .collect();
    versions.sort_unstable();
    assert_eq!(versions.last().map(ToString::to_string).as_deref(), Some(newest), "{event_type}");
    let of = |version: u32| fingerprint(aggregate, event_type, &version.to_string());
    let differences = |older: &Fingerprint, newer: &Fingerprint| {
        let only = |these: &Fingerprint, those: &Fingerprint, mark| {
            let only = these.iter().filter(|(path, told)| those.get(*path) != Some(told));
            only.map(|(path, told)| format!("{mark} {path}: {told}")).collect::<Vec<_>>()
        };
        [only(older, newer, '-'), only(newer, older, '+')].concat()
    };
    versions.windows(2).map(|pair| (pair[0].to_string(), differences(&of(pair[0]), &of(pair[1])))).collect()
}

/// The name of a type, without what only says how often it is there.
fn type_name(ty: &syn::Type, parameters: &BTreeMap<String, syn::Type>) -> String {
    let name = outer(ty);
    match name.as_str() {
        "Option" | "Vec" | "Box" => type_name(&argument(ty), parameters),
        _ => parameters.get(&name).map_or(name, |ty| type_name(ty, &BTreeMap::new())),
    }
}

fn outer(ty: &syn::Type) -> String {
    let syn::Type::Path(path) = ty else { panic!("a type that is no path") };
    path.path.segments.last().expect("a name").ident.to_string()
}

fn argument(ty: &syn::Type) -> syn::Type {
    let syn::Type::Path(path) = ty else { panic!("a type that is no path") };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last().expect("a name").arguments else {
        panic!("a type without arguments")
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(ty)) => ty.clone(),
        _ => panic!("an argument that is no type"),
    }
}

/// What a list is of.
fn item(ty: &syn::Type) -> syn::Type {
    match outer(ty).as_str() {
        "Vec" => argument(ty),
        "Option" | "Box" => item(&argument(ty)),
        other => panic!("{other} is no list"),
    }
}
