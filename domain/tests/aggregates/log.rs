//! What the log says of itself.

use domain::log::LogCommand::{Begin, Fill};
use domain::log::LogEvent::{GenerationBegan, PositionLost};
use domain::log::{GenerationReason, Log};

use crate::support::{Row, check, invalid};

#[test]
fn generations_and_lost_positions() {
    let reason = GenerationReason::Promoted;
    let began = |generation, shared_upto, lost: Option<(i64, i64)>| {
        let (lost_from, lost_upto) = lost.unzip();
        GenerationBegan { generation, reason, shared_upto, lost_from, lost_upto }
    };
    let begin = |generation, shared_upto, lost| Begin { generation, reason, shared_upto, lost };
    let lost = PositionLost { generation: 2, lost_from: 101, lost_upto: 150 };
    let before = || vec![began(2, 100, None)];
    let not_later = invalid("generation", "must be above 2, which the log has come to");
    let first = invalid("generation", "must be 2 or above: the log began with 1");
    let order = invalid("lost_upto", "must be lost_from, above 0, or after it");
    let shared = invalid("shared_upto", "must be before lost_from");
    #[rustfmt::skip]
    let table: Vec<Row<Log>> = vec![
        ("nothing was lost", vec![], begin(2, 100, None), Ok(vec![began(2, 100, None)])),
        ("a tail was lost", vec![], begin(2, 100, Some((101, 150))), Ok(vec![began(2, 100, Some((101, 150)))])),
        ("less is shared than was kept", vec![], begin(2, 90, Some((101, 150))), Ok(vec![began(2, 90, Some((101, 150)))])),
        ("once more", before(), begin(3, 200, None), Ok(vec![began(3, 200, None)])),
        ("a lost position is filled", vec![], Fill { generation: 2, lost: (101, 150) }, Ok(vec![lost])),
        ("no generation comes twice", before(), begin(2, 100, None), Err(not_later.clone())),
        ("nor is one filled that is over", before(), Fill { generation: 2, lost: (101, 150) }, Err(not_later)),
        ("the first began with the log", vec![], begin(1, 0, None), Err(first)),
        ("a range has an order", vec![], begin(2, 100, Some((150, 101))), Err(order.clone())),
        ("and is of positions", vec![], Fill { generation: 2, lost: (0, 3) }, Err(order)),
        ("what is lost is not shared", vec![], begin(2, 101, Some((101, 150))), Err(shared)),
    ];
    check::<Log>(table);
}
