use domain::id::Sealed;
use schema::columns::{ColumnType, EventTable};
use serde_json::Value;

use super::{Error, Vault};

impl Vault {
    /// Puts clear values in the place of the sealed ones of an event's members; null in that of what was erased.
    ///
    /// # Errors
    /// When a key can't be read, or does not fit.
    pub async fn open_members(&self, table: &EventTable, members: &mut Value) -> Result<(), Error> {
        for column in table.columns.iter().filter(|column| column.column_type == ColumnType::Sealed) {
            let place = column.path.iter().try_fold(&mut *members, |value, name| value.get_mut(name));
            if let Some(place) = place
                && let Some(sealed) = place.as_str()
            {
                *place = self.open(&Sealed(sealed.to_owned())).await?.map_or(Value::Null, Value::String);
            }
        }
        Ok(())
    }
}
