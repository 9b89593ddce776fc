use chrono::TimeDelta;

/// For how long things may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A requested session must begin within this: at least the charger's ConnectionTimeOut, the time that a driver has to
    /// plug in.
    pub start_deadline: TimeDelta,
    /// A station command that could not be sent by then never will be.
    pub command_expiry: TimeDelta,
    /// A charger must answer a command within this.
    pub answer_timeout: TimeDelta,
    /// A charger that accepted a stop must report it within this.
    pub stop_deadline: TimeDelta,
    /// A session of which nothing was heard for so long is presumed to have ended.
    pub silence_limit: TimeDelta,
    /// A session whose outlet its charger has called available for so long has ended: its stop never came.
    pub vacant_after: TimeDelta,
    /// What is shown is a replay: every command is refused.
    pub replay: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start_deadline: TimeDelta::seconds(180),
            command_expiry: TimeDelta::seconds(60),
            answer_timeout: TimeDelta::seconds(30),
            stop_deadline: TimeDelta::seconds(120),
            silence_limit: TimeDelta::hours(24),
            vacant_after: TimeDelta::minutes(2),
            replay: false,
        }
    }
}
