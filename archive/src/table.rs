//! A table written as one Parquet file.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use schema::columns::{Cell, ColumnType};

use crate::Error;
use crate::buffer::{ColumnBuffer, parquet_type};

/// Rows that stand together in the file. Readers skip those whose smallest and largest values don't concern them.
const ROW_GROUP_ROWS_MAX: usize = 128 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub column_type: ColumnType,
}

/// Rows are kept until there are enough for a group; whoever writes many tables at once asks how much that is, and
/// flushes.
pub struct TableWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<(Column, ColumnBuffer)>,
    rows: usize,
    bytes: usize,
}

impl<W: Write + Send> TableWriter<W> {
    /// `said`: what the file says of itself, beside its columns.
    pub fn new(out: W, name: &str, columns: &[Column], said: &[(&str, String)]) -> Result<Self, Error> {
        let fields = columns.iter().map(|column| parquet_type(&column.name, column.column_type).map(Arc::new));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let schema = Type::group_type_builder(name).with_fields(fields).build()?;
        let said = said.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone())).collect();
        let properties = WriterProperties::builder()
            .set_created_by(concat!("Coulomb ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(said))
            .build();
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        let columns = columns.iter().map(|column| (column.clone(), ColumnBuffer::of(column.column_type))).collect();
        Ok(Self { file, columns, rows: 0, bytes: 0 })
    }

    /// A cell for each column, in their order.
    pub fn push(&mut self, cells: &[Cell]) -> Result<(), Error> {
        if cells.len() != self.columns.len() {
            let (holds, given) = (self.columns.len().to_string(), cells.len().to_string());
            return Err(Error::Misplaced { column: "of all".to_owned(), holds, given });
        }
        for ((column, buffer), cell) in self.columns.iter_mut().zip(cells) {
            self.bytes += buffer.push(cell).ok_or_else(|| Error::Misplaced {
                column: column.name.clone(),
                holds: format!("{:?}", column.column_type),
                given: format!("{cell:?}"),
            })?;
        }
        self.rows += 1;
        if self.rows >= ROW_GROUP_ROWS_MAX { self.flush() } else { Ok(()) }
    }

    /// Of the rows that are not written yet.
    pub fn buffered_bytes(&self) -> usize {
        self.bytes
    }

    /// Writes the rows that are kept, as a group of their own.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (_, buffer) in &mut self.columns {
            if let Some(mut column) = group.next_column()? {
                buffer.write(&mut column)?;
                column.close()?;
            }
        }
        group.close()?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Writes what is left and the end of the file, and gives back what it was written to.
    pub fn finish(mut self) -> Result<W, Error> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    fn column(name: &str, column_type: ColumnType) -> Column {
        Column { name: name.to_owned(), column_type }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let columns = [
            column("text", ColumnType::Text),
            column("id", ColumnType::Uuid),
            column("at", ColumnType::Timestamp),
            column("date", ColumnType::Date),
            column("amount", ColumnType::Decimal),
            column("number", ColumnType::Integer),
            column("power", ColumnType::Double),
            column("is", ColumnType::Boolean),
            column("json", ColumnType::Json),
        ];
        let at = "2026-03-01T10:00:00.123456Z".parse().expect("a time");
        let date = "1969-12-31".parse().expect("a date");
        let full = [
            Cell::Text("a".to_owned()),
            Cell::Uuid(uuid::Uuid::from_u128(7)),
            Cell::Timestamp(at),
            Cell::Date(date),
            Cell::Decimal("-2.5".parse().expect("a decimal")),
            Cell::Integer(i64::MIN),
            Cell::Double(0.5),
            Cell::Boolean(true),
            Cell::Text("[1]".to_owned()),
        ];
        let empty = vec![Cell::Null; columns.len()];
        let mut table = TableWriter::new(vec![], "rows", &columns, &[("first", "1".to_owned())]).expect("a table");
        table.push(&full).expect("a row");
        table.flush().expect("a group");
        table.push(&empty).expect("a row");
        let file = SerializedFileReader::new(Bytes::from(table.finish().expect("a file"))).expect("it can be read");
        assert_eq!(file.metadata().num_row_groups(), 2);
        let rows: Vec<_> = file.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
        let values: Vec<String> = rows[0].get_column_iter().map(|(_, field)| field.to_string()).collect();
        assert_eq!(values[0], "\"a\"");
        assert_eq!(values[2], "2026-03-01 10:00:00.123456 +00:00");
        assert_eq!(values[3], "1969-12-31");
        assert_eq!(values[4], "-2.500000000000");
        assert_eq!(&values[5..8], ["-9223372036854775808", "0.5", "true"]);
        assert!(rows[1].get_column_iter().all(|(_, field)| *field == Field::Null));
    }

    #[test]
    fn what_is_not_of_the_table_is_refused() {
        let columns = [column("number", ColumnType::Integer)];
        let mut table = TableWriter::new(vec![], "rows", &columns, &[]).expect("a table");
        assert!(matches!(table.push(&[Cell::Boolean(true)]), Err(Error::Misplaced { .. })));
        assert!(matches!(table.push(&[]), Err(Error::Misplaced { .. })));
    }
}
