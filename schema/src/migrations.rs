//! The database, from nothing to today.

use std::borrow::Cow;
use std::sync::LazyLock;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Version, description and text of each file in `migrations/`.
const FILES: &[(i64, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// Migrations expand first and contract later.
pub static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let made = FILES.iter().map(|(version, description, text)| {
        let (description, text) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
        Migration::new(*version, description, MigrationType::Simple, text, false)
    });
    Migrator { migrations: made.collect(), ..Migrator::DEFAULT }
});
