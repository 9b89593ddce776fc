//! The types of `domain` and what is said of them, read from its sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, Field, Fields, Ident, Item, Lit, LitStr, Meta, Token, braced};

/// Every type by its name.
#[derive(Default)]
pub struct Source {
    types: BTreeMap<String, Type>,
}

pub struct Type {
    pub says: String,
    /// What stands for it where it is written, if that is another type (serde's `into`).
    pub written_as: Option<String>,
    /// The types that its parameters stand for where nothing is said.
    pub defaults: BTreeMap<String, syn::Type>,
    pub shape: Shape,
}

pub enum Shape {
    Struct(Vec<Member>),
    Enum(Vec<Variant>),
    /// A list of words that others may be added to, with those that are known.
    Words(Vec<(String, String)>),
    /// A value that is not made of members.
    Value,
}

pub struct Variant {
    /// As it is written.
    pub name: String,
    pub says: String,
    /// Its own members, or the one type whose members they are.
    pub holds: Holds,
}

pub enum Holds {
    Members(Vec<Member>),
    Other(syn::Type),
    Nothing,
}

pub struct Member {
    pub name: String,
    pub says: String,
    pub ty: syn::Type,
    pub left_out_when_empty: bool,
    /// Its members stand among those of the object that it is part of.
    pub flattened: bool,
}

impl Source {
    /// # Panics
    /// When a file can't be read as Rust, or two types have one name and both are wanted.
    pub fn read(folder: &Path) -> Self {
        let mut source = Self::default();
        source.folder(folder);
        source
    }

    pub fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The enum of events with this variant.
    pub fn event(&self, event_type: &str) -> (&Type, &Variant) {
        let of = |(name, found): (&String, &'_ Type)| name.ends_with("Event") && found.variant(event_type).is_some();
        let mut found = self.types.iter().filter(|(name, ty)| of((name, ty))).map(|(_, found)| found);
        let only = found.next().unwrap_or_else(|| panic!("no enum of domain has the event {event_type}"));
        assert!(found.next().is_none(), "several enums have the event {event_type}");
        (only, only.variant(event_type).expect("it has"))
    }

    fn folder(&mut self, folder: &Path) {
        let mut paths: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.folder(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                file.items.iter().for_each(|item| self.item(item));
            }
        }
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Struct(found) => {
                let shape = match &found.fields {
                    Fields::Named(fields) => Shape::Struct(fields.named.iter().map(member).collect()),
                    Fields::Unnamed(_) | Fields::Unit => Shape::Value,
                };
                self.add(&found.ident, &found.attrs, Some(&found.generics), shape);
            }
            Item::Enum(found) => {
                let rule = serde_value(&found.attrs, "rename_all");
                let variants = found.variants.iter().map(|variant| Variant {
                    name: serde_value(&variant.attrs, "rename")
                        .unwrap_or_else(|| renamed(&variant.ident.to_string(), rule.as_deref())),
                    says: says(&variant.attrs),
                    holds: match &variant.fields {
                        Fields::Named(fields) => Holds::Members(fields.named.iter().map(member).collect()),
                        Fields::Unnamed(fields) => Holds::Other(fields.unnamed[0].ty.clone()),
                        Fields::Unit => Holds::Nothing,
                    },
                });
                let variants = variants.collect();
                self.add(&found.ident, &found.attrs, Some(&found.generics), Shape::Enum(variants));
            }
            Item::Type(found) => self.add(&found.ident, &found.attrs, None, Shape::Value),
            Item::Macro(found) => {
                let name = found.mac.path.segments.last().map(|segment| segment.ident.to_string());
                if matches!(name.as_deref(), Some("uuid_ids" | "words")) {
                    let listed: Listed = found.mac.parse_body().expect("a list of names");
                    for ListedType { attrs, name, words } in listed.0 {
                        let shape = if words.is_empty() { Shape::Value } else { Shape::Words(words) };
                        self.add(&name, &attrs, None, shape);
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, name: &Ident, attrs: &[Attribute], generics: Option<&syn::Generics>, shape: Shape) {
        let parameters = generics.into_iter().flat_map(syn::Generics::type_params);
        let defaults =
            parameters.filter_map(|parameter| Some((parameter.ident.to_string(), parameter.default.clone()?)));
        let written_as = serde_value(attrs, "into").filter(|into| into != "String");
        let found = Type { says: says(attrs), written_as, defaults: defaults.collect(), shape };
        self.types.insert(name.to_string(), found);
    }
}

impl Type {
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        match &self.shape {
            Shape::Enum(variants) => variants.iter().find(|variant| variant.name == name),
            Shape::Struct(_) | Shape::Words(_) | Shape::Value => None,
        }
    }
}

fn member(field: &Field) -> Member {
    let ident = field.ident.as_ref().expect("a named field").to_string();
    Member {
        name: serde_value(&field.attrs, "rename").unwrap_or(ident),
        says: says(&field.attrs),
        ty: field.ty.clone(),
        left_out_when_empty: serde_value(&field.attrs, "skip_serializing_if").is_some(),
        flattened: serde_words(&field.attrs).iter().any(|(word, _)| word == "flatten"),
    }
}

/// The first paragraph of a doc comment, as one line, without links into the program.
fn says(attrs: &[Attribute]) -> String {
    let mut text = String::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("doc")) {
        if let Meta::NameValue(doc) = &attr.meta
            && let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &doc.value
        {
            if line.value().trim().is_empty() {
                break;
            }
            text.push_str(line.value().trim());
            text.push(' ');
        }
    }
    without_links(text.trim())
}

/// `` [`Limits`](crate::Limits) `` as `` `Limits` ``.
fn without_links(text: &str) -> String {
    let (mut plain, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("[`") {
        plain.push_str(before);
        let (name, after) = after.split_once("`]").expect("a link ends");
        plain.push_str(&format!("`{name}`"));
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain + rest
}

/// What stands in `#[serde(…)]`.
fn serde_words(attrs: &[Attribute]) -> Vec<(String, Option<String>)> {
    let mut words = vec![];
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("serde")) {
        let parsed = attr.parse_nested_meta(|meta| {
            let word = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            let value = match meta.value() {
                Ok(value) => Some(value.parse::<LitStr>()?.value()),
                Err(_) => None,
            };
            words.push((word, value));
            Ok(())
        });
        parsed.expect("an attribute of serde");
    }
    words
}

fn serde_value(attrs: &[Attribute], word: &str) -> Option<String> {
    serde_words(attrs).into_iter().find(|(name, _)| name == word).and_then(|(_, value)| value)
}

fn renamed(name: &str, rule: Option<&str>) -> String {
    match rule {
        None => name.to_owned(),
        Some("snake_case") => schema::columns::snake_case(name),
        Some("SCREAMING_SNAKE_CASE") => schema::columns::snake_case(name).to_uppercase(),
        Some(other) => panic!("rename_all = {other:?} is not known here"),
    }
}

/// What stands in `uuid_ids!` and `words!`: names with their comments, and words with theirs.
struct Listed(Vec<ListedType>);

struct ListedType {
    attrs: Vec<Attribute>,
    name: Ident,
    words: Vec<(String, String)>,
}

impl Parse for Listed {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut listed = vec![];
        while !input.is_empty() {
            let attrs = input.call(Attribute::parse_outer)?;
            let name = input.parse()?;
            let mut words = vec![];
            if input.peek(syn::token::Brace) {
                let within;
                braced!(within in input);
                while !within.is_empty() {
                    let attrs = within.call(Attribute::parse_outer)?;
                    within.parse::<Ident>()?;
                    within.parse::<Token![=]>()?;
                    words.push((within.parse::<LitStr>()?.value(), says(&attrs)));
                    within.parse::<Option<Token![,]>>()?;
                }
            }
            input.parse::<Option<Token![,]>>()?;
            listed.push(ListedType { attrs, name, words });
        }
        Ok(Self(listed))
    }
}
