use serde::Serialize;
use serde_json::{Map, Value};

/// One measurement: `ratio` is value / baseline.
#[derive(Debug, Clone, Serialize)]
pub struct BenchLine {
    pub bench: &'static str,
    pub case: String,
    pub unit: &'static str,
    pub value: f64,
    pub baseline: Option<Baseline>,
    pub ratio: Option<f64>,
    pub detail: Map<String, Value>,
}

/// What it is measured against, in the same run.
#[derive(Debug, Clone, Serialize)]
pub struct Baseline {
    pub name: &'static str,
    pub value: f64,
}

impl BenchLine {
    pub fn new(bench: &'static str, case: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self { bench, case: case.into(), unit, value: round(value), baseline: None, ratio: None, detail: Map::new() }
    }

    pub fn beside(mut self, name: &'static str, value: f64) -> Self {
        self.ratio = (value != 0.0).then(|| round(self.value / value));
        self.baseline = Some(Baseline { name, value: round(value) });
        self
    }

    /// Adds what is worth knowing of the run.
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    pub(super) const TABLE_HEAD: &'static str = "bench   case                                          value unit          baseline                       ratio";

    pub(super) fn table_row(&self) -> String {
        let baseline = self.baseline.as_ref().map_or_else(String::new, |b| format!("{} {}", b.value, b.name));
        let ratio = self.ratio.map_or_else(String::new, |ratio| ratio.to_string());
        let Self { bench, case, unit, value, .. } = self;
        format!("{bench:<7} {case:<40} {value:>10} {unit:<13} {baseline:<30} {ratio}")
    }
}

/// The one in the middle; 0 of none.
pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Three digits after the point: more is noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
