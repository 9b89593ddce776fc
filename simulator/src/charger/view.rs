use serde::Serialize;

/// `ChargePointStatus` of OCPP 1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Status {
    Available,
    Preparing,
    Charging,
    #[serde(rename = "SuspendedEV")]
    SuspendedEv,
    Finishing,
    Unavailable,
    Faulted,
}

impl Status {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Preparing => "Preparing",
            Self::Charging => "Charging",
            Self::SuspendedEv => "SuspendedEV",
            Self::Finishing => "Finishing",
            Self::Unavailable => "Unavailable",
            Self::Faulted => "Faulted",
        }
    }
}

/// A charger as somebody sees it who stands before it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargerView {
    pub connected: bool,
    /// The edge has accepted its BootNotification.
    pub booted: bool,
    pub outlets: Vec<OutletView>,
    /// Messages that were not acknowledged yet.
    pub waiting: usize,
    /// Readings that were given up because there were too many.
    pub dropped: u64,
}

/// One outlet of it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutletView {
    pub status: Status,
    pub has_car: bool,
    /// 0 to 1, of the car that is plugged in.
    pub charge: Option<f64>,
    pub in_transaction: bool,
    /// As the edge has named it.
    pub transaction_id: Option<i64>,
    /// A start was accepted, and waits for a car.
    pub waits_for_car: bool,
}

impl ChargerView {
    /// Whether the edge knows everything that has happened here.
    pub fn is_settled(&self) -> bool {
        self.connected && self.booted && self.waiting == 0
    }
}
