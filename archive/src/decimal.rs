//! Decimals as Parquet has them: a whole number of units of one fixed scale.

use rust_decimal::{Decimal, RoundingStrategy};
use schema::columns::Cell;

/// Digits of a decimal column, and how many of them are behind the point: prices are calculated to as many.
pub const DECIMAL_PRECISION: u8 = 38;
pub const DECIMAL_SCALE: u8 = 12;

/// Whether a column holds the cell as it is. A decimal with more digits behind the point is rounded.
pub fn holds(cell: &Cell) -> bool {
    match cell {
        Cell::Decimal(number) => number.normalize().scale() <= u32::from(DECIMAL_SCALE),
        Cell::Null
        | Cell::Text(_)
        | Cell::Uuid(_)
        | Cell::Timestamp(_)
        | Cell::Date(_)
        | Cell::Integer(_)
        | Cell::Double(_)
        | Cell::Boolean(_) => true,
    }
}

/// In units of 10^-12; none where it has more digits before the point than a column takes.
pub fn units(number: Decimal) -> Option<i128> {
    const DIGITS_BEFORE_POINT_MAX: u32 = (DECIMAL_PRECISION - DECIMAL_SCALE) as u32;
    let scale = u32::from(DECIMAL_SCALE);
    let rounded = number.round_dp_with_strategy(scale, RoundingStrategy::MidpointNearestEven);
    if rounded.trunc().abs().mantissa() >= 10_i128.pow(DIGITS_BEFORE_POINT_MAX) {
        return None;
    }
    rounded.mantissa().checked_mul(10_i128.checked_pow(scale.checked_sub(rounded.scale())?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_scale() {
        let units = |text: &str| units(text.parse().expect("a decimal"));
        assert_eq!(units("2.5"), Some(2_500_000_000_000));
        assert_eq!(units("-0.000000000001"), Some(-1));
        assert_eq!(units("0.0000000000015"), Some(2));
        assert_eq!(units("100"), Some(100_000_000_000_000));
        assert_eq!(units("99999999999999999999999999"), Some(99_999_999_999_999_999_999_999_999 * 10_i128.pow(12)));
        assert_eq!(units("100000000000000000000000000"), None);
        assert!(holds(&Cell::Decimal("2.500000000000000".parse().expect("a decimal"))));
        assert!(!holds(&Cell::Decimal("0.0000000000015".parse().expect("a decimal"))));
    }
}
