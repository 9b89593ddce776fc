//! What is done to read models.

use domain::read_model::ReadModelCommand::{Abandon, Release, RollBack, Skip, Swap};
use domain::read_model::ReadModelEvent::{
    ParkedEventSkipped, ParkedKeyReleased, ReadModelRolledBack, ReadModelSwapAbandoned, ReadModelSwapped,
};
use domain::read_model::{ReadModel, ReadModelEvent};

use crate::support::{Row, check, id, invalid};

fn model() -> String {
    "sessions".to_owned()
}

fn swapped(from_build: u32, to_build: u32) -> ReadModelEvent {
    ReadModelSwapped { model: model(), from_build, to_build }
}

fn back(from_build: u32, to_build: u32) -> ReadModelEvent {
    ReadModelRolledBack { model: model(), from_build, to_build }
}

fn abandoned(from_build: u32, to_build: u32) -> ReadModelEvent {
    ReadModelSwapAbandoned { model: model(), from_build, to_build }
}

#[test]
fn exchanges_of_builds() {
    let swap = |from_build, to_build| Swap { model: model(), from_build, to_build };
    let roll_back = |from_build, to_build| RollBack { model: model(), from_build, to_build };
    let abandon = |from_build, to_build| Abandon { model: model(), from_build, to_build };
    let not_live = invalid("from_build", "is 1, but build 2 serves");
    let same = invalid("to_build", "must be another build than the one that serves");
    #[rustfmt::skip]
    let table: Vec<Row<ReadModel>> = vec![
        ("the first swap", vec![], swap(1, 2), Ok(vec![swapped(1, 2)])),
        ("to itself", vec![], swap(1, 1), Err(same.clone())),
        ("from one that does not serve", vec![swapped(1, 2)], swap(1, 3), Err(not_live.clone())),
        ("back", vec![swapped(1, 2)], roll_back(2, 1), Ok(vec![back(2, 1)])),
        ("back to itself", vec![swapped(1, 2)], roll_back(2, 2), Err(same)),
        ("back from one that does not serve", vec![swapped(1, 2)], roll_back(1, 2), Err(not_live)),
        ("and forth", vec![swapped(1, 2), back(2, 1)], swap(1, 2), Ok(vec![swapped(1, 2)])),
        ("it did not happen", vec![swapped(1, 2)], abandon(1, 2), Ok(vec![abandoned(1, 2)])),
        ("the roll-back did not happen", vec![swapped(1, 2), back(2, 1)], abandon(2, 1), Ok(vec![abandoned(2, 1)])),
        ("abandoned twice", vec![swapped(1, 2), abandoned(1, 2)], abandon(1, 2), Ok(vec![])),
        ("abandoned, but others were swapped", vec![swapped(1, 2)], abandon(2, 3), Ok(vec![])),
        ("tried again", vec![swapped(1, 2), abandoned(1, 2)], swap(1, 2), Ok(vec![swapped(1, 2)])),
    ];
    check::<ReadModel>(table);
}

#[test]
fn parked_keys() {
    let partition_key = id(7);
    let skip = |position| Skip { model: model(), partition_key, position };
    let released = ParkedKeyReleased { model: model(), partition_key };
    let skipped = ParkedEventSkipped { model: model(), partition_key, position: 5 };
    #[rustfmt::skip]
    let table: Vec<Row<ReadModel>> = vec![
        ("released", vec![], Release { model: model(), partition_key }, Ok(vec![released.clone()])),
        ("released again", vec![released.clone()], Release { model: model(), partition_key }, Ok(vec![released])),
        ("skipped", vec![], skip(5), Ok(vec![skipped])),
        ("nothing is skipped", vec![], skip(0), Err(invalid("position", "must be that of an event, 1 or above"))),
    ];
    check::<ReadModel>(table);
}
