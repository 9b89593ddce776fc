//! Over all read models.

use domain::envelope::Retention;
use schema::view::{Model, Row, RowChange};

use crate::{
    ChargePoints, Commands, Drivers, Fact, FoldError, MeterValues, Plans, ReadModel, Sessions, Sites, Tariffs, Tokens,
};

/// A row that an event changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    pub model: Model,
    pub key: String,
    /// The event makes the row: none needs to be looked for.
    pub begins: bool,
}

macro_rules! for_all_models {
    ($($model:ident),+ $(,)?) => {
        fn touch(model: Model, fact: &Fact<'_>) -> Option<Touch> {
            match model {
                $(Model::$model => {
                    let key = $model::key(fact)?;
                    Some(Touch { model, key, begins: $model::begins(fact) })
                })+
            }
        }

        fn apply(model: Model, key: &str, row: Option<Row>, fact: &Fact<'_>) -> Result<Row, FoldError> {
            match model {
                $(Model::$model => {
                    let row = match row {
                        None => None,
                        Some(Row::$model(row)) => Some(*row),
                        Some(_) => return Err(FoldError::OtherModel { model, key: key.to_owned() }),
                    };
                    Ok(Row::$model(Box::new($model::apply(row, fact)?)))
                })+
            }
        }

        /// The version of a read model's fold.
        pub const fn version(model: Model) -> u32 {
            match model { $(Model::$model => $model::VERSION),+ }
        }

        /// The classes of events that a read model is built from.
        pub const fn retention(model: Model) -> &'static [Retention] {
            match model { $(Model::$model => $model::RETENTION),+ }
        }

        $(const _: () = assert!(matches!(<$model as ReadModel>::MODEL, Model::$model));)+
    };
}

for_all_models!(ChargePoints, Sessions, MeterValues, Commands, Drivers, Tokens, Sites, Tariffs, Plans);

/// Every row that the event changes.
pub fn touched<'a>(fact: &'a Fact<'_>) -> impl Iterator<Item = Touch> + 'a {
    Model::ALL.into_iter().filter_map(|model| touch(model, fact))
}

/// The row after the event, which [`touched`] it.
///
/// # Errors
/// When the event does not fit the row. The log is written by aggregates that don't let that happen.
pub fn fold(touch: Touch, present: Option<RowChange>, fact: &Fact<'_>) -> Result<RowChange, FoldError> {
    let row = present.filter(|present| !present.removed).map(|present| present.row);
    let row = apply(touch.model, &touch.key, row, fact)?;
    Ok(RowChange {
        key: touch.key,
        partition: fact.recorded.partition,
        generation: fact.recorded.generation,
        position: fact.recorded.position,
        removed: false,
        row,
    })
}
