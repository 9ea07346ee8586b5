//! Values on their way to PostgreSQL and back, by the types of parameters and columns.

use std::error::Error;
use std::fmt;

use chrono::{DateTime, NaiveDateTime, Utc};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::wire::Broken;
use crate::target::sql::value::time_text;
use crate::target::sql::{Row, SqlValue};

/// A value and a type that do not fit.
#[derive(Debug)]
pub(super) struct Unfit(String);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Unfit {}

type Boxed = Box<dyn Error + Sync + Send>;

impl ToSql for SqlValue {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        let unfit = || -> Boxed { Box::new(Unfit(format!("{self:?} does not go into a {ty}"))) };
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(truth) if *ty == Type::BOOL => truth.to_sql(ty, out),
            Self::Bool(truth) => Self::Int(i64::from(*truth)).to_sql(ty, out),
            Self::Int(n) => match *ty {
                Type::INT8 => n.to_sql(ty, out),
                Type::INT4 => i32::try_from(*n).map_err(|_| unfit())?.to_sql(ty, out),
                Type::INT2 => i16::try_from(*n).map_err(|_| unfit())?.to_sql(ty, out),
                Type::FLOAT8 => (*n as f64).to_sql(ty, out),
                Type::FLOAT4 => (*n as f32).to_sql(ty, out),
                _ => Err(unfit()),
            },
            Self::Real(x) => match *ty {
                Type::FLOAT8 => x.to_sql(ty, out),
                Type::FLOAT4 => (*x as f32).to_sql(ty, out),
                _ => Err(unfit()),
            },
            Self::Text(text) if is_text(ty) => text.to_sql(ty, out),
            Self::Uuid(uuid) if *ty == Type::UUID => uuid.to_sql(ty, out),
            Self::Uuid(uuid) if is_text(ty) => uuid.hyphenated().to_string().to_sql(ty, out),
            Self::Time(time) => match *ty {
                Type::TIMESTAMPTZ => time.to_sql(ty, out),
                Type::TIMESTAMP => time.naive_utc().to_sql(ty, out),
                _ if is_text(ty) => time_text(*time).to_sql(ty, out),
                _ => Err(unfit()),
            },
            Self::Text(_) | Self::Uuid(_) | Self::Other(_) => Err(unfit()),
        }
    }

    fn accepts(_: &Type) -> bool {
        // It is decided by the value.
        true
    }

    to_sql_checked!();
}

fn named(ty: &Type) -> String {
    let article = if ty.name().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {ty}")
}

fn is_text(ty: &Type) -> bool {
    matches!(*ty, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN)
}

impl<'a> FromSql<'a> for SqlValue {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        let read = match *ty {
            Type::BOOL => bool::from_sql(ty, raw).map(Self::Bool),
            Type::INT2 => i16::from_sql(ty, raw).map(|n| Self::Int(n.into())),
            Type::INT4 => i32::from_sql(ty, raw).map(|n| Self::Int(n.into())),
            Type::INT8 => i64::from_sql(ty, raw).map(Self::Int),
            Type::OID => u32::from_sql(ty, raw).map(|n| Self::Int(n.into())),
            Type::FLOAT4 => f32::from_sql(ty, raw).map(|x| Self::Real(x.into())),
            Type::FLOAT8 => f64::from_sql(ty, raw).map(Self::Real),
            Type::NUMERIC => numeric(raw).ok_or_else(|| "it is too large, or no number".into()),
            Type::UUID => Uuid::from_sql(ty, raw).map(Self::Uuid),
            Type::TIMESTAMPTZ => DateTime::<Utc>::from_sql(ty, raw).map(Self::Time),
            Type::TIMESTAMP => NaiveDateTime::from_sql(ty, raw).map(|time| Self::Time(time.and_utc())),
            Type::VOID => Ok(Self::Null),
            _ if is_text(ty) => <&str>::from_sql(ty, raw).map(|text| Self::Text(text.to_owned())),
            _ => Err("soakd does not know the type".into()),
        };
        // Such as a moment that is infinite: whoever asks for a moment is told what stands there instead.
        Ok(read.unwrap_or_else(|_| Self::other(&named(ty), raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Reads a NUMERIC, which sums of whole numbers are: a whole number where it is one.
fn numeric(raw: &[u8]) -> Option<SqlValue> {
    let mut words = raw.chunks_exact(2).map(|two| i16::from_be_bytes([two[0], two[1]]));
    let (digits, weight, sign, _scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    if !matches!(sign, 0 | 0x4000) {
        return None;
    }
    let digits: Vec<i64> = words.take(usize::try_from(digits).ok()?).map(i64::from).collect();
    let power = |i: usize| i32::from(weight) - i32::try_from(i).unwrap_or(i32::MAX);
    let whole = digits.iter().enumerate().all(|(i, digit)| power(i) >= 0 || *digit == 0);
    let minus = sign == 0x4000;
    if !whole {
        let sum: f64 = digits.iter().enumerate().map(|(i, digit)| *digit as f64 * 1e4_f64.powi(power(i))).sum();
        return Some(SqlValue::Real(if minus { -sum } else { sum }));
    }
    let mut sum = 0_i64;
    for (i, digit) in digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
        let place = 10_000_i64.checked_pow(u32::try_from(power(i)).ok()?)?;
        sum = sum.checked_add(digit.checked_mul(place)?)?;
    }
    Some(SqlValue::Int(if minus { -sum } else { sum }))
}

/// Returns a row as the workloads see it.
pub(super) fn row_of(row: &tokio_postgres::Row) -> Result<Row, Broken> {
    (0..row.len()).map(|i| row.try_get(i).map_err(Broken::Postgres)).collect()
}
