//! Over all read models, each by the newest fold of this program.

use domain::envelope::Retention;
use schema::view::{
    ChargePointRow, CommandRow, DriverRow, MeterValuesRow, Model, PlanRow, Row, RowChange, SessionRow, SiteRow,
    TariffRow, TokenRow,
};

use crate::{
    ChargePoints, Commands, Drivers, Fact, FoldError, MeterValues, Plans, ReadModel, Sessions, Sites, Tariffs, Tokens,
    change,
};

/// A row that an event changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    pub model: Model,
    pub key: String,
    /// The event makes the row: none needs to be looked for.
    pub begins: bool,
}

/// The row of one read model, as one of any.
pub trait FromRow: Sized {
    /// None: it is a row of another read model.
    fn from_row(row: Row) -> Option<Self>;

    /// None: it is a row of another read model.
    fn of_row(row: &mut Row) -> Option<&mut Self>;

    fn into_row(self) -> Row;
}

macro_rules! for_all_models {
    ($($model:ident($row:ty)),+ $(,)?) => {
        $(impl FromRow for $row {
            fn from_row(row: Row) -> Option<Self> {
                match row {
                    Row::$model(row) => Some(*row),
                    _ => None,
                }
            }

            fn of_row(row: &mut Row) -> Option<&mut Self> {
                match row {
                    Row::$model(row) => Some(row),
                    _ => None,
                }
            }

            fn into_row(self) -> Row {
                Row::$model(Box::new(self))
            }
        })+

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
                    let mut row = $model::apply(row, fact)?;
                    $model::complete(&mut row);
                    Ok(Row::$model(Box::new(row)))
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

for_all_models! {
    ChargePoints(ChargePointRow),
    Sessions(SessionRow),
    MeterValues(MeterValuesRow),
    Commands(CommandRow),
    Drivers(DriverRow),
    Tokens(TokenRow),
    Sites(SiteRow),
    Tariffs(TariffRow),
    Plans(PlanRow),
}

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
    Ok(change(touch.key, fact.recorded, row))
}
