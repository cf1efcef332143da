//! A value as text: numbers and truth as JSON has them, lists and structs as JSON, times as RFC 3339, bytes in hex.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType};

const OPTIONS: FormatOptions<'static> = FormatOptions::new();

/// With times in the zone that the formatter knows: it has none with a name, and all of ours are UTC.
pub(super) fn plain(values: &dyn Array) -> Result<ArrayRef, ArrowError> {
    let data = values.to_data();
    Ok(make_array(match values.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            data.into_builder().data_type(DataType::Timestamp(*unit, Some("+00:00".into()))).build()?
        }
        _ => data,
    }))
}

/// A column of rows that is [`plain`].
pub(super) struct Column<'a> {
    values: &'a ArrayRef,
    /// Of what is no list and no struct.
    formatter: Option<ArrayFormatter<'a>>,
}

impl<'a> Column<'a> {
    pub(super) fn of(values: &'a ArrayRef) -> Result<Column<'a>, ArrowError> {
        let formatter = match is_nested(values.data_type()) {
            true => None,
            false => Some(ArrayFormatter::try_new(values, &OPTIONS)?),
        };
        Ok(Column { values, formatter })
    }

    /// `None`: NULL.
    pub(super) fn text(&self, row: usize) -> Result<Option<String>, ArrowError> {
        match &self.formatter {
            _ if self.values.is_null(row) || *self.values.data_type() == DataType::Null => Ok(None),
            Some(formatter) => formatter.value(row).try_to_string().map(Some),
            None => {
                let mut text = String::new();
                json(self.values, row, &mut text)?;
                Ok(Some(text))
            }
        }
    }
}

/// Whether the text of such a value stands in JSON as it is; what is not a number, such as `inf`, does not.
pub(super) fn is_json(of: &DataType) -> bool {
    of.is_numeric() || *of == DataType::Boolean || is_nested(of)
}

fn is_nested(of: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    matches!(of, List(_) | LargeList(_) | FixedSizeList(..) | Struct(_) | Map(..))
}

fn json(values: &dyn Array, row: usize, to: &mut String) -> Result<(), ArrowError> {
    if values.is_null(row) || *values.data_type() == DataType::Null {
        to.push_str("null");
        return Ok(());
    }
    match values.data_type() {
        DataType::List(_) => list(&values.as_list::<i32>().value(row), to),
        DataType::LargeList(_) => list(&values.as_list::<i64>().value(row), to),
        DataType::FixedSizeList(..) => list(&values.as_fixed_size_list().value(row), to),
        DataType::Map(..) => list(&values.as_map().value(row), to),
        DataType::Struct(fields) => {
            for (number, (field, column)) in fields.iter().zip(values.as_struct().columns()).enumerate() {
                to.push(if number == 0 { '{' } else { ',' });
                quoted(field.name(), to);
                to.push(':');
                json(column, row, to)?;
            }
            to.push('}');
            Ok(())
        }
        other => {
            let text = ArrayFormatter::try_new(&plain(values)?, &OPTIONS)?.value(row).try_to_string()?;
            match is_json(other) {
                true if matches!(&*text, "NaN" | "inf" | "-inf") => to.push_str("null"),
                true => to.push_str(&text),
                false => quoted(&text, to),
            }
            Ok(())
        }
    }
}

fn list(values: &dyn Array, to: &mut String) -> Result<(), ArrowError> {
    to.push('[');
    for row in 0..values.len() {
        if row > 0 {
            to.push(',');
        }
        json(values, row, to)?;
    }
    to.push(']');
    Ok(())
}

fn quoted(text: &str, to: &mut String) {
    to.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::{BinaryArray, Decimal128Array, Float64Array, StructArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn texts(values: ArrayRef) -> Vec<Option<String>> {
        let values = plain(&values).expect("plain");
        let column = Column::of(&values).expect("a column");
        (0..values.len()).map(|row| column.text(row).expect("a text")).collect()
    }

    #[test]
    fn values_are_texts_that_json_can_hold() {
        let some = |text: &str| Some(text.to_owned());
        let numbers = Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]));
        assert_eq!(texts(numbers.clone()), [some("1.5"), some("NaN"), None]);
        let sum = Decimal128Array::from(vec![1_i128 << 100]).with_precision_and_scale(38, 0).expect("a sum");
        assert_eq!(texts(Arc::new(sum)), [some("1267650600228229401496703205376")]);
        let times = TimestampMicrosecondArray::from(vec![1_000_000]);
        assert_eq!(texts(Arc::new(times.clone().with_timezone("UTC"))), [some("1970-01-01T00:00:01Z")]);
        assert_eq!(texts(Arc::new(times)), [some("1970-01-01T00:00:01")]);
        assert_eq!(texts(Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"]))), [some("00ff")]);
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.values().append_value("a \"b\"");
        lists.values().append_null();
        lists.append(true);
        lists.append(true);
        lists.append(false);
        let lists: ArrayRef = Arc::new(lists.finish());
        assert_eq!(texts(lists.clone()), [some("[\"a \\\"b\\\"\",null]"), some("[]"), None]);
        let both = StructArray::try_from(vec![("list", lists), ("n", numbers as ArrayRef)]).expect("structs");
        let both = texts(Arc::new(both));
        assert_eq!(both[0], some("{\"list\":[\"a \\\"b\\\"\",null],\"n\":1.5}"));
        assert_eq!(both[1..], [some("{\"list\":[],\"n\":null}"), some("{\"list\":null,\"n\":null}")]);
    }
}
