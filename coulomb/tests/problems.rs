//! Every code that a request can be refused with is documented: in docs/problems.md, and where clients look, in the
//! OpenAPI documents.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use application::problem::Problem;
use domain::Refusal;
use service_host::Code;

fn documented() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("docs");
    fs::read_to_string(docs.join("problems.md")).expect("docs/problems.md")
}

/// Codes and statuses of the table.
fn rows(text: &str) -> BTreeSet<(String, u16)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.parse().ok()?))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_table_has_every_code_with_its_status_and_no_other() {
    let all = Code::ALL.iter().map(|code| (code.as_str().to_owned(), code.status().as_u16()));
    assert_eq!(rows(&documented()), all.collect());
}

/// What any request may be answered with, whatever it asks for.
const OF_ANY: [Code; 4] = [Code::NotFound, Code::MethodNotAllowed, Code::Timeout, Code::Internal];

#[test]
fn every_code_is_in_the_openapi_documents() {
    let documents = [command_service::openapi(), realtime_api::openapi()].map(|document| {
        let responses = document.paths.paths.into_values().flat_map(|item| [item.get, item.post].into_iter().flatten());
        let responses = responses.flat_map(|operation| operation.responses.responses);
        let told: Vec<_> = responses
            .filter_map(|(status, response)| match response {
                utoipa::openapi::RefOr::T(response) => Some((status, response.description)),
                utoipa::openapi::RefOr::Ref(_) => None,
            })
            .collect();
        told
    });
    let told: Vec<_> = documents.into_iter().flatten().collect();
    let is_word =
        |text: &str, code: &str| text.split(|c: char| !c.is_ascii_lowercase() && c != '-').any(|word| word == code);
    let missing: Vec<_> = Code::ALL
        .into_iter()
        .filter(|code| !OF_ANY.contains(code))
        .filter(|code| {
            let status = code.status().as_u16().to_string();
            !told.iter().any(|(of, text)| *of == status && is_word(text, code.as_str()))
        })
        .map(Code::as_str)
        .collect();
    assert!(missing.is_empty(), "no operation says that it may answer {missing:?}");
}

/// All refusals there are: a new one is missed here by the compiler.
fn refusals() -> Vec<Refusal> {
    let mut all = vec![Refusal::NoActivePlan];
    while let Some(next) = next(all.last().expect("there is one")) {
        all.push(next);
    }
    all
}

fn next(refusal: &Refusal) -> Option<Refusal> {
    Some(match refusal {
        Refusal::NoActivePlan => Refusal::Forbidden("No."),
        Refusal::Forbidden(_) => Refusal::ChargerUnknown,
        Refusal::ChargerUnknown => Refusal::SessionUnknown,
        Refusal::SessionUnknown => Refusal::CommandUnknown,
        Refusal::CommandUnknown => Refusal::DriverUnknown,
        Refusal::DriverUnknown => Refusal::TokenUnknown,
        Refusal::TokenUnknown => Refusal::ChargerOffline,
        Refusal::ChargerOffline => Refusal::ConnectorOccupied,
        Refusal::ConnectorOccupied => Refusal::ConnectorFaulted,
        Refusal::ConnectorFaulted => Refusal::SessionOpen,
        Refusal::SessionOpen => Refusal::SessionOver,
        Refusal::SessionOver => Refusal::invalid("name", "must not be empty"),
        Refusal::Invalid { .. } => Refusal::AlreadyExists("It exists."),
        Refusal::AlreadyExists(_) => return None,
    })
}

/// A refusal of the domain reaches clients with its own code: one that the table of codes does not have would be told as
/// an error of ours.
#[test]
fn every_refusal_is_told_by_its_own_code() {
    let all = refusals();
    assert_eq!(all.len(), 14);
    for refusal in all {
        let Problem { status, code, detail, field, retry_after_s, .. } = Problem::from(&refusal);
        let field = field.map(|field| field.into_owned());
        let told = service_host::Problem::decided(&code, status, detail, field, retry_after_s);
        assert_eq!(told.code().as_str(), refusal.code());
        assert_eq!(told.code().status().as_u16(), status);
    }
}
