use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::pace::{Pace, some};
use crate::charger::{ChargerHandle, Impossible};

/// Lets chargers lose their network, or break, until the evening.
pub(super) async fn happen(chargers: Vec<ChargerHandle>, pace: Pace, evening: CancellationToken, mut rng: SmallRng) {
    while let Some(wait) = (!chargers.is_empty()).then(|| some(&pace.trouble, &mut rng)) {
        tokio::select! {
            () = sleep(wait) => {}
            () = evening.cancelled() => return,
        }
        let Some(charger) = chargers.choose(&mut rng) else { return };
        if befall(charger, &pace, &mut rng).await.is_err() {
            return;
        }
    }
}

async fn befall(charger: &ChargerHandle, pace: &Pace, rng: &mut SmallRng) -> Result<(), Impossible> {
    let outage = some(&pace.outage, rng);
    match rng.random_range(0..10) {
        0..5 => charger.go_offline(outage).await,
        5..8 => charger.reconnect().await,
        _ => {
            let view = charger.view();
            // One breaks where nobody is hurt.
            let idle = view.outlets.iter().position(|outlet| !outlet.has_car && !outlet.waits_for_car);
            let Some(outlet) = idle.map(|index| index + 1) else { return Ok(()) };
            charger.break_outlet(outlet, "GroundFailure").await?;
            sleep(outage).await;
            charger.repair_outlet(outlet).await
        }
    }
}
