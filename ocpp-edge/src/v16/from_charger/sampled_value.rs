use std::borrow::Cow;

use crate::lenient::{DeviceTime, Fields, Words, words};

/// `MeterValue` (1.6 section 7): readings taken at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterValue<'a> {
    pub timestamp: Option<DeviceTime<'a>>,
    pub sampled_values: Vec<SampledValue<'a>>,
}

/// `SampledValue` (1.6 section 7), verbatim: the words as sent, none filled in. A signed value stays byte for byte
/// what was between the quotes, escapes resolved.
///
/// What the specification means by an absent field: context `Sample.Periodic`, format `Raw`, measurand
/// `Energy.Active.Import.Register`, location `Outlet`, unit `Wh` for energy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampledValue<'a> {
    pub value: Cow<'a, str>,
    pub context: Option<Cow<'a, str>>,
    pub format: Option<Cow<'a, str>>,
    pub measurand: Option<Cow<'a, str>>,
    pub phase: Option<Cow<'a, str>>,
    pub location: Option<Cow<'a, str>>,
    pub unit: Option<Cow<'a, str>>,
}

impl<'a> MeterValue<'a> {
    /// The list of them in a field, or the single one that stands in its place.
    pub(super) fn read_list(fields: &mut Fields<'a, '_>, field: &'static str) -> Vec<Self> {
        fields.objects(field, |meter_value| {
            meter_value.expect(&["timestamp", "sampledValue"]);
            Some(Self {
                timestamp: meter_value.time("timestamp"),
                sampled_values: meter_value.objects("sampledValue", SampledValue::read),
            })
        })
    }
}

impl<'a> SampledValue<'a> {
    /// `None` if it has no value.
    fn read(fields: &mut Fields<'a, '_>) -> Option<Self> {
        fields.expect(&["value"]);
        Some(Self {
            value: fields.text("value", usize::MAX)?,
            context: word::<Context>(fields, "context"),
            format: word::<Format>(fields, "format"),
            measurand: word::<Measurand>(fields, "measurand"),
            phase: word::<Phase>(fields, "phase"),
            location: word::<Location>(fields, "location"),
            unit: word::<Unit>(fields, "unit"),
        })
    }
}

/// The word as sent; the enumeration only tells whether it is a deviation.
fn word<'a, E: Words>(fields: &mut Fields<'a, '_>, field: &'static str) -> Option<Cow<'a, str>> {
    fields.word::<E>(field).map(|word| word.text)
}

words! {
    enum Context {
        InterruptionBegin = "Interruption.Begin",
        InterruptionEnd = "Interruption.End",
        SampleClock = "Sample.Clock",
        SamplePeriodic = "Sample.Periodic",
        TransactionBegin = "Transaction.Begin",
        TransactionEnd = "Transaction.End",
        Trigger = "Trigger",
        Other = "Other",
    }
}

words! {
    enum Format {
        Raw = "Raw",
        SignedData = "SignedData",
    }
}

words! {
    enum Measurand {
        // First what is in nearly every message.
        EnergyActiveImportRegister = "Energy.Active.Import.Register",
        PowerActiveImport = "Power.Active.Import",
        CurrentImport = "Current.Import",
        Voltage = "Voltage",
        SoC = "SoC",
        EnergyActiveExportRegister = "Energy.Active.Export.Register",
        EnergyReactiveExportRegister = "Energy.Reactive.Export.Register",
        EnergyReactiveImportRegister = "Energy.Reactive.Import.Register",
        EnergyActiveExportInterval = "Energy.Active.Export.Interval",
        EnergyActiveImportInterval = "Energy.Active.Import.Interval",
        EnergyReactiveExportInterval = "Energy.Reactive.Export.Interval",
        EnergyReactiveImportInterval = "Energy.Reactive.Import.Interval",
        PowerActiveExport = "Power.Active.Export",
        PowerOffered = "Power.Offered",
        PowerReactiveExport = "Power.Reactive.Export",
        PowerReactiveImport = "Power.Reactive.Import",
        PowerFactor = "Power.Factor",
        CurrentExport = "Current.Export",
        CurrentOffered = "Current.Offered",
        Frequency = "Frequency",
        Temperature = "Temperature",
        Rpm = "RPM",
    }
}

words! {
    enum Phase {
        L1 = "L1",
        L2 = "L2",
        L3 = "L3",
        N = "N",
        L1N = "L1-N",
        L2N = "L2-N",
        L3N = "L3-N",
        L1L2 = "L1-L2",
        L2L3 = "L2-L3",
        L3L1 = "L3-L1",
    }
}

words! {
    enum Location {
        Cable = "Cable",
        Ev = "EV",
        Inlet = "Inlet",
        Outlet = "Outlet",
        Body = "Body",
    }
}

words! {
    enum Unit {
        WattHour = "Wh",
        KiloWattHour = "kWh",
        VarHour = "varh",
        KiloVarHour = "kvarh",
        Watt = "W",
        KiloWatt = "kW",
        VoltAmpere = "VA",
        KiloVoltAmpere = "kVA",
        Var = "var",
        KiloVar = "kvar",
        Ampere = "A",
        Volt = "V",
        Kelvin = "K",
        // The specification's own schema has the misspelling; its errata have both.
        Celcius = "Celcius",
        Celsius = "Celsius",
        Fahrenheit = "Fahrenheit",
        Percent = "Percent",
        // Not in every edition, and sent by many.
        Hertz = "Hertz",
    }
}
