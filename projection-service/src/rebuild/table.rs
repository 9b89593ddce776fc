//! The table of a build that is being made: rows read by key, new ones copied in, known ones overwritten.

use pool::Connection;
use schema::log::{Generation, Position};
use schema::partition::Partition;
use schema::view::{Model, Row, RowChange};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::Error;

/// Bytes sent at a time.
const COPY_BYTES: usize = 256 * 1024;
/// What begins a binary COPY: signature, flags, length of an extension that there is not.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The version with which jsonb's binary form begins.
const JSONB: u8 = 1;

#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    model: Model,
}

pub(super) struct ToWrite<'a> {
    pub key: &'a str,
    pub partition: Partition,
    pub generation: Generation,
    pub position: Position,
    pub json: String,
}

impl Table {
    pub const fn of(model: Model) -> Self {
        Self { model }
    }

    fn name(self) -> String {
        format!("shadow.{}", self.model.name())
    }

    /// The rows of some keys, but for removed ones.
    pub async fn read(self, connection: &mut Connection<'_>, keys: &[&str]) -> Result<Vec<RowChange>, sqlx::Error> {
        let text = format!(
            "SELECT key, partition, generation, position, row::text FROM {} WHERE key = ANY ($1) AND NOT removed",
            self.name()
        );
        let rows = sqlx::query(&text).bind(keys).persistent(false).fetch_all(connection).await?;
        rows.iter().map(|row| self.change(row)).collect()
    }

    fn change(self, row: &PgRow) -> Result<RowChange, sqlx::Error> {
        let corrupt = |what: &str| sqlx::Error::Decode(format!("a row of {} has no {what}", self.name()).into());
        let key: String = row.try_get(0)?;
        let partition = u8::try_from(row.try_get::<i16, _>(1)?).ok().and_then(Partition::new);
        let content = Row::from_json(self.model, row.try_get(4)?);
        Ok(RowChange {
            partition: partition.ok_or_else(|| corrupt("partition"))?,
            generation: Generation(row.try_get(2)?),
            position: Position(row.try_get(3)?),
            removed: false,
            row: content.map_err(|source| sqlx::Error::Decode(source.into()))?,
            key,
        })
    }

    /// Rows of which the table has none.
    pub async fn insert(self, connection: &mut Connection<'_>, rows: &[ToWrite<'_>]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = format!(
            "COPY {} (key, partition, generation, position, removed, row) FROM STDIN (FORMAT binary)",
            self.name()
        );
        let mut copy = connection.copy_in_raw(&text).await?;
        let mut bytes = Vec::with_capacity(COPY_BYTES + COPY_BYTES / 4);
        bytes.extend_from_slice(HEAD);
        for row in rows {
            row.encode(&mut bytes);
            if bytes.len() >= COPY_BYTES {
                copy.send(bytes.as_slice()).await?;
                bytes.clear();
            }
        }
        bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(bytes.as_slice()).await?;
        copy.finish().await?;
        Ok(())
    }

    /// Rows of which the table has older states, or none.
    pub async fn update(self, connection: &mut Connection<'_>, rows: &[ToWrite<'_>]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = format!("SELECT shadow.write_{}($1, $2, $3, $4, $5, $6)", self.model.name());
        sqlx::query(&text)
            .bind(rows.iter().map(|row| row.key).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| i16::from(row.partition.number())).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.generation.0).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.position.0).collect::<Vec<_>>())
            .bind(vec![false; rows.len()])
            .bind(rows.iter().map(|row| row.json.as_str()).collect::<Vec<_>>())
            .persistent(false)
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl ToWrite<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        fn field(out: &mut Vec<u8>, bytes: &[u8]) {
            out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(&6_i16.to_be_bytes());
        field(out, self.key.as_bytes());
        field(out, &i16::from(self.partition.number()).to_be_bytes());
        field(out, &self.generation.0.to_be_bytes());
        field(out, &self.position.0.to_be_bytes());
        field(out, &[0]);
        out.extend_from_slice(&(self.json.len() as i32 + 1).to_be_bytes());
        out.push(JSONB);
        out.extend_from_slice(self.json.as_bytes());
    }
}
