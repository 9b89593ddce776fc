use crate::log::Position;

/// Where rows are kept as they were (migration 0430): positions at regular distances, which may change from era to era.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Boundaries {
    /// Where each begins, and the distance from there on; by their beginnings.
    eras: Vec<(Position, i64)>,
}

impl Boundaries {
    /// `eras`: the first position of each, which is a boundary, and the distance, which is above 0.
    pub fn new(mut eras: Vec<(Position, i64)>) -> Self {
        eras.sort_unstable();
        Self { eras }
    }

    /// The earliest; none: nothing is kept.
    pub fn first(&self) -> Option<Position> {
        self.eras.first().map(|(first, _)| *first)
    }

    /// The last at or below a position; none: there is none.
    pub fn at_or_below(&self, position: Position) -> Option<Position> {
        let (first, every) = self.eras.iter().rev().find(|(first, _)| *first <= position)?;
        Some(Position(first.0 + (position.0 - first.0) / every * every))
    }

    /// The first at or above a position; none: there is none.
    pub fn at_or_above(&self, position: Position) -> Option<Position> {
        let next_era = self.eras.iter().map(|(first, _)| *first).find(|first| *first >= position);
        let within = self.eras.iter().rev().find(|(first, _)| *first <= position).map(|(first, every)| {
            let steps = (position.0 - first.0 + every - 1) / every;
            Position(first.0 + steps * every)
        });
        [next_era, within].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eras_follow_each_other() {
        let boundaries = Boundaries::new(vec![(Position(250), 50), (Position(100), 100)]);
        let table = [
            (0, None, Some(100)),
            (99, None, Some(100)),
            (100, Some(100), Some(100)),
            (101, Some(100), Some(200)),
            (200, Some(200), Some(200)),
            (201, Some(200), Some(250)),
            (250, Some(250), Some(250)),
            (251, Some(250), Some(300)),
            (1_000_001, Some(1_000_000), Some(1_000_050)),
        ];
        for (position, below, above) in table {
            let at = Position(position);
            assert_eq!(boundaries.at_or_below(at), below.map(Position), "below {position}");
            assert_eq!(boundaries.at_or_above(at), above.map(Position), "above {position}");
        }
        assert_eq!(Boundaries::default().at_or_above(Position(1)), None);
        assert_eq!(boundaries.first(), Some(Position(100)));
    }
}
