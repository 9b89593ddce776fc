//! The database, from nothing to today.
//!
//! Migrations expand first and contract later, so that the programs of two versions run side by side on one database: a new
//! program on the migrations that it needs, an older one on the same. A migration that takes away what older programs use says
//! so in its name, `<number>_needs_<number>_<words>.sql`: programs on the database must know the second number from then on, and
//! an older one refuses to start.

use std::borrow::Cow;
use std::sync::LazyLock;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description and text of each file in `migrations/`.
const FILES: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Later ones of a newer program don't stop it.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let made = FILES.iter().map(|(version, description, text)| {
        let (description, text) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
        Migration::new(*version, description, MigrationType::Simple, text, false)
    });
    Migrator { migrations: made.collect(), ignore_missing: true, ..Migrator::DEFAULT }
});

/// The version that programs must know on a database with this migration, where its name says one.
pub fn needs(description: &str) -> Option<i64> {
    description.strip_prefix("needs ")?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to here nothing had run beside an older version.
    const FIRST_SIDE_BY_SIDE: i64 = 560;
    /// What takes something away that an older program may use.
    const CONTRACTS: [&str; 6] = ["DROP TABLE", "DROP COLUMN", "DROP VIEW", "DROP SCHEMA", " RENAME ", "SET NOT NULL"];

    #[test]
    fn a_name_says_what_programs_must_know() {
        assert_eq!(needs("needs 0610 drop names"), Some(610));
        assert_eq!(needs("append"), None);
        assert_eq!(needs("needs care"), None);
    }

    #[test]
    fn what_a_migration_needs_is_known_before_it() {
        for (version, description, _) in FILES {
            if let Some(needed) = needs(description) {
                assert!(FILES.iter().any(|(known, ..)| *known == needed), "{version} needs {needed}, which is none");
                assert!(needed < *version, "{version} needs {needed}, which comes after it");
            }
        }
    }

    /// A line that only looks like it says why: `-- expands: …` above it.
    #[test]
    fn what_takes_something_away_says_so_in_its_name() {
        for (version, description, text) in FILES.iter().filter(|(version, ..)| *version > FIRST_SIDE_BY_SIDE) {
            let mut above = "";
            for line in text.lines() {
                let statement = line.split("--").next().unwrap_or_default().to_uppercase();
                let contracts = CONTRACTS.iter().any(|word| statement.contains(word));
                let excused = above.trim_start().starts_with("-- expands:");
                assert!(
                    !contracts || excused || needs(description).is_some(),
                    "migration {version} takes away what older programs may use, and its name does not say what is \
                     needed then (docs/deploy.md): {line}"
                );
                above = line;
            }
        }
    }
}
