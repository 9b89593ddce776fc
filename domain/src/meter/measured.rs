//! What could be understood of a meter reading.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::measurand::{Context, Measurand, Phase, distance_from_outlet};
use super::reading::{MeterReading, SampledValue};

/// A reading in base units; what it doesn't tell is `None`. Decimals are strings in JSON.
///
/// Of several values for one quantity the nearest to the outlet counts, of those the one at the transaction's end, of
/// those the total; phases are summed only where no total is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Cumulative registers.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub import_register_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub export_register_wh: Option<Decimal>,
    /// Registers of context `Transaction.Begin`, which may come long after the beginning.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub begin_import_register_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub begin_export_register_wh: Option<Decimal>,
    /// Energy since the interval before.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub import_interval_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub export_interval_wh: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub power_exported_w: Option<Decimal>,
    /// 0 to 100.
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub soc_percent: Option<Decimal>,
    #[serde(with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<Decimal>,
}

impl MeterReading {
    /// Understands what it can; never fails.
    #[must_use]
    pub fn measured(&self) -> Measured {
        let values: Vec<_> = self.sampled.iter().filter_map(Value::read).collect();
        let now = |measurand| newest(&values, measurand);
        let begin = |measurand| {
            choose(values.iter().filter(|v| v.measurand == measurand && v.context == Context::TransactionBegin))
        };
        let percent = now(Measurand::Soc).filter(|soc| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(soc));
        let not_negative = |value: Option<Decimal>| value.filter(|value| *value >= Decimal::ZERO);
        Measured {
            import_register_wh: not_negative(now(Measurand::ImportRegister)),
            export_register_wh: not_negative(now(Measurand::ExportRegister)),
            begin_import_register_wh: not_negative(begin(Measurand::ImportRegister)),
            begin_export_register_wh: not_negative(begin(Measurand::ExportRegister)),
            import_interval_wh: not_negative(now(Measurand::ImportInterval)),
            export_interval_wh: not_negative(now(Measurand::ExportInterval)),
            power_w: now(Measurand::ImportPower),
            power_exported_w: now(Measurand::ExportPower),
            soc_percent: percent,
            temperature_celsius: now(Measurand::Temperature),
        }
    }
}

struct Value {
    measurand: Measurand,
    context: Context,
    phase: Phase,
    distance: u8,
    value: Decimal,
}

impl Value {
    fn read(sampled: &SampledValue) -> Option<Self> {
        if sampled.format.as_deref().is_some_and(|format| format.trim().eq_ignore_ascii_case("SignedData")) {
            return None;
        }
        let measurand = Measurand::read(sampled.measurand.as_deref())?;
        // "%" has no letters, which reads as no unit.
        let value = measurand.in_base_unit(&sampled.value, sampled.unit.as_deref(), sampled.multiplier)?;
        Some(Self {
            measurand,
            context: Context::read(sampled.context.as_deref()),
            phase: Phase::read(sampled.phase.as_deref()),
            distance: distance_from_outlet(sampled.location.as_deref()),
            value,
        })
    }
}

/// Registers at the beginning are kept apart; anything else of that context is as good as now.
fn newest(values: &[Value], measurand: Measurand) -> Option<Decimal> {
    let register = matches!(measurand, Measurand::ImportRegister | Measurand::ExportRegister);
    let candidates = || {
        let of_measurand = values.iter().filter(move |v| v.measurand == measurand);
        of_measurand.filter(move |v| !register || v.context != Context::TransactionBegin)
    };
    let nearest = candidates().map(|v| v.distance).min()?;
    let latest = candidates().filter(|v| v.distance == nearest).map(|v| v.context).max()?;
    choose(candidates().filter(|v| v.distance == nearest && v.context == latest))
}

/// The total, or else the sum of the phases, each once.
fn choose<'v>(values: impl Iterator<Item = &'v Value> + Clone) -> Option<Decimal> {
    let nearest = values.clone().map(|v| v.distance).min()?;
    let values = values.filter(|v| v.distance == nearest);
    if let Some(total) = values.clone().find(|v| v.phase == Phase::Total) {
        return Some(total.value);
    }
    let phases = [1, 2, 3].map(|n| values.clone().find(|v| v.phase == Phase::One(n)).map(|v| v.value));
    let known = phases.into_iter().flatten();
    known.reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(json: &str) -> MeterReading {
        MeterReading::new("2024-05-01T10:00:00Z", serde_json::from_str(json).unwrap())
    }

    #[test]
    fn import_register() {
        #[rustfmt::skip]
        let table = [
            ("defaults", r#"[{"value":"1234"}]"#, Some("1234")),
            ("kWh", r#"[{"value":"1.2345","unit":"kWh","measurand":"Energy.Active.Import.Register"}]"#, Some("1234.5")),
            ("spelling", r#"[{"value":" 7 ","unit":"KWH","measurand":"energy.active.import.register"}]"#, Some("7000")),
            ("empty words", r#"[{"value":"7","unit":"","measurand":"","context":"","phase":"","location":""}]"#, Some("7")),
            ("scientific", r#"[{"value":"1.2E3"}]"#, Some("1200")),
            ("multiplier", r#"[{"value":"12","unit":"Wh","multiplier":2}]"#, Some("1200")),
            ("phases are summed", r#"[{"value":"1","phase":"L1"},{"value":"2","phase":"L2"},{"value":"3","phase":"L3"}]"#, Some("6")),
            ("a total wins", r#"[{"value":"1","phase":"L1"},{"value":"9"},{"value":"3","phase":"L3"}]"#, Some("9")),
            ("the outlet wins", r#"[{"value":"500","location":"Inlet"},{"value":"9","location":"Outlet"}]"#, Some("9")),
            ("the end wins", r#"[{"value":"1","context":"Transaction.Begin"},{"value":"9","context":"Transaction.End"},{"value":"5"}]"#, Some("9")),
            ("the beginning is apart", r#"[{"value":"1","context":"Transaction.Begin"}]"#, None),
            ("signed data is no number", r#"[{"value":"1234","format":"SignedData"}]"#, None),
            ("decimal comma", r#"[{"value":"12,5"}]"#, None),
            ("thousands", r#"[{"value":"1_000"}]"#, None),
            ("not a number", r#"[{"value":"NaN"}]"#, None),
            ("nothing", r#"[{"value":""}]"#, None),
            ("another unit", r#"[{"value":"5","unit":"varh"}]"#, None),
            ("negative", r#"[{"value":"-5"}]"#, None),
            ("absurd", r#"[{"value":"99999999999999999999"}]"#, None),
            ("unknown measurand", r#"[{"value":"5","measurand":"Vendor.Secret"}]"#, None),
        ];
        for (case, json, expected) in table {
            let measured = sampled(json).measured();
            assert_eq!(measured.import_register_wh.map(|v| v.to_string()).as_deref(), expected, "{case}");
        }
    }

    #[test]
    fn other_quantities() {
        let measured = sampled(
            r#"[{"value":"7.4","unit":"kW","measurand":"Power.Active.Import"},
                {"value":"81.5","unit":"Percent","measurand":"SoC","location":"EV"},
                {"value":"21.5","unit":"Celcius","measurand":"Temperature"},
                {"value":"3","unit":"kWh","measurand":"Energy.Active.Export.Register"},
                {"value":"10","measurand":"Energy.Active.Import.Interval"},
                {"value":"100","context":"Transaction.Begin"}]"#,
        )
        .measured();
        let text = |value: Option<Decimal>| value.map(|v| v.to_string()).unwrap_or_default();
        assert_eq!(text(measured.power_w), "7400");
        assert_eq!(text(measured.soc_percent), "81.5");
        assert_eq!(text(measured.temperature_celsius), "21.5");
        assert_eq!(text(measured.export_register_wh), "3000");
        assert_eq!(text(measured.import_interval_wh), "10");
        assert_eq!(text(measured.begin_import_register_wh), "100");
        assert_eq!(measured.import_register_wh, None);
        let celsius = sampled(r#"[{"value":"20","unit":"Celsius","measurand":"Temperature"}]"#).measured();
        assert_eq!(text(celsius.temperature_celsius), "20");
        assert_eq!(sampled(r#"[{"value":"101","unit":"%","measurand":"SoC"}]"#).measured(), Measured::default());
    }

    #[test]
    fn what_was_sent_is_kept() {
        let json = r#"[{"value":"OCMF|{\"FV\":\"1.0\"}|{\"SD\":\"304\"} ","context":"","format":"SignedData"}]"#;
        let reading = sampled(json);
        assert_eq!(serde_json::to_string(&reading.sampled).unwrap(), json);
        let garbage = MeterReading::new("gestern", vec![SampledValue::of("1")]);
        assert_eq!((garbage.timestamp.as_str(), garbage.device_at), ("gestern", None));
    }
}
