//! The builds that every event is folded for: of each read model the live one, and the one that has joined it.

use std::sync::Arc;

use pool::Connection;
use read_models::{Folds, ModelFold};
use schema::view::Model;
use sqlx::Row;

use super::Error;

/// Where the rows of a build are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `views.<model>`: it serves.
    Live,
    /// `shadow.<model>`: it is kept current beside the live one.
    Shadow,
}

impl Place {
    pub const fn schema(self) -> &'static str {
        match self {
            Self::Live => "views",
            Self::Shadow => "shadow",
        }
    }
}

#[derive(Clone)]
pub(crate) struct Build {
    pub id: i64,
    pub model: Model,
    pub place: Place,
    pub fold: Arc<dyn ModelFold>,
}

/// The live builds and those that have joined. They don't change while a run lasts: whoever changes them ends the runs.
///
/// # Errors
/// [`Error::NoFold`] when this program lacks the fold of one of them, [`Error::UnknownModel`] when it knows a read model
/// not at all: it must not take partitions then, since it would leave rows behind.
pub(crate) async fn load(connection: &mut Connection<'_>, folds: &Folds) -> Result<Vec<Build>, Error> {
    let statement = sqlx::query(include_str!("sql/builds.sql")).persistent(false);
    let rows = statement.fetch_all(connection).await.map_err(Error::Write)?;
    rows.iter()
        .map(|row| {
            let name: &str = row.try_get(1).map_err(Error::Write)?;
            let model = Model::ALL.into_iter().find(|model| model.name() == name);
            let model = model.ok_or_else(|| Error::UnknownModel { name: name.to_owned() })?;
            let number: i32 = row.try_get(2).map_err(Error::Write)?;
            let version: i32 = row.try_get(3).map_err(Error::Write)?;
            let live: bool = row.try_get(4).map_err(Error::Write)?;
            let fold = u32::try_from(version).ok().and_then(|version| folds.get(model, version));
            let fold = fold.ok_or_else(|| Error::NoFold { model, number, version, carried: folds.versions(model) })?;
            Ok(Build {
                id: row.try_get(0).map_err(Error::Write)?,
                model,
                place: if live { Place::Live } else { Place::Shadow },
                fold: Arc::clone(fold),
            })
        })
        .collect()
}
