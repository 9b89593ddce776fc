//! Position ranges: the tables that events go to, always some ready ahead of the head.

use pool::Connection;

use crate::options::StoreOptions;

/// Makes what is missing of the ranges ahead.
pub(crate) async fn make_ahead(connection: &mut Connection<'_>, options: &StoreOptions) -> Result<(), sqlx::Error> {
    let statement = sqlx::query("SELECT log_make_ranges($1, $2)").bind(options.range_positions);
    statement.bind(options.ranges_ahead).persistent(false).execute(connection).await.map(|_| ())
}
