use chrono::{DateTime, Utc};
use domain::id::{PlanId, SiteId};
use domain::plan::Plan;
use domain::published_tariff::{Pricing, PublishedTariff};
use domain::site::Site;
use event_store::Session;

use crate::Error;

/// What a session at a site is priced by: the plan's tariff, or else the site's; none where neither holds at that moment.
///
/// The version is copied into the session's events: later versions don't change what was agreed.
pub(crate) async fn pricing_at(
    session: &mut Session,
    site_id: Option<SiteId>,
    plan_id: Option<PlanId>,
    at: DateTime<Utc>,
) -> Result<Option<Pricing>, Error> {
    let Some(site_id) = site_id else {
        return Ok(None);
    };
    let Some(site) = session.load::<Site>(site_id).await?.details.clone() else {
        return Ok(None);
    };
    let of_plan = match plan_id {
        Some(plan_id) => session.load::<Plan>(plan_id).await?.details.as_ref().and_then(|plan| plan.tariff_id),
        None => None,
    };
    let Some(tariff_id) = of_plan.or(site.tariff_id) else {
        return Ok(None);
    };
    let published = session.load::<PublishedTariff>(tariff_id).await?;
    let version = published.version;
    let tariff = published.tariff.clone().filter(|tariff| tariff.is_valid_at(at));
    Ok(tariff.map(|tariff| Pricing { tariff_id, version, tariff, time_zone: site.time_zone }))
}
