//! What people have given of themselves, looked for where it must not be.

use aho_corasick::AhoCorasick;
use simulator::phone::Person;

/// Words of a name that are shorter may stand anywhere.
const WORD_CHARS_MIN: usize = 4;

/// All that a person has given, in each form in which it might have been written down.
pub fn given_by(person: &Person, card: Option<&str>) -> Vec<String> {
    let Person { email, password, name, phone } = person;
    let words = name.split_whitespace().filter(|word| word.chars().count() >= WORD_CHARS_MIN);
    let digits = phone.iter().map(|phone| phone.chars().filter(char::is_ascii_digit).collect());
    let whole = [Some(email.as_str()), Some(password), Some(name), phone.as_deref(), card].into_iter().flatten();
    whole.chain(words).map(str::to_owned).chain(digits).collect()
}

/// The first of the texts that stands in one of the records, in whatever case, as it is or as JSON has it.
///
/// # Panics
/// When one of the texts is empty: it stands everywhere.
pub fn first_found<'t>(records: &[impl AsRef<[u8]>], texts: &'t [String]) -> Option<&'t str> {
    assert!(texts.iter().all(|text| !text.is_empty()), "an empty text is looked for");
    let in_json = |text: &str| serde_json::to_string(text).expect("a text is JSON").trim_matches('"').to_owned();
    // The search itself knows only letters of ASCII.
    let forms =
        |text: &String| [text.clone(), text.to_lowercase(), text.to_uppercase()].map(|text| [in_json(&text), text]);
    let patterns: Vec<(usize, String)> = texts
        .iter()
        .enumerate()
        .flat_map(|(index, text)| forms(text).into_iter().flatten().map(move |form| (index, form)))
        .collect();
    let any = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(patterns.iter().map(|(_, form)| form))
        .expect("texts can be searched for");
    let found = records.iter().find_map(|record| any.find(record.as_ref()))?;
    Some(&texts[patterns[found.pattern().as_usize()].0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person() -> Person {
        Person {
            email: "Ada@tests.example".to_owned(),
            password: "a \"password\" of hers".to_owned(),
            name: "Ada Sørensen".to_owned(),
            phone: Some("+45 5550 7".to_owned()),
        }
    }

    #[test]
    fn each_thing_that_was_given_is_found_in_whatever_form() {
        let given = given_by(&person(), Some("CARD0001"));
        for (record, text) in [
            ("{\"to\":\"ada@TESTS.example\"}", "Ada@tests.example"),
            ("{\"p\":\"A \\\"PASSWORD\\\" OF HERS\"}", "a \"password\" of hers"),
            ("Ask for ada SØRENSEN.", "Ada Sørensen"),
            ("Mrs. sørensen is here", "Sørensen"),
            ("call +45 5550 7 now", "+45 5550 7"),
            ("{\"phone\":4555507}", "4555507"),
            ("{\"idTag\":\"card0001\"}", "CARD0001"),
        ] {
            assert_eq!(first_found(&["nothing", record], &given), Some(text), "{record}");
        }
        assert_eq!(first_found(&["{\"name\":\"Ada\"}", "CARD0002", "AQIDBA=="], &given), None);
    }

    #[test]
    #[should_panic(expected = "an empty text")]
    fn a_text_that_stands_everywhere_is_none() {
        first_found(&["nothing"], &[String::new()]);
    }
}
