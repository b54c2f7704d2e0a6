//! Records along axis 0: taken out, and put together.

use std::ops::Range;

use super::{Data, Tensor, Value};

impl Data {
    /// A copy of some elements; none where the range lies outside.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        macro_rules! sliced {
            ($($variant:ident),*) => {
                match self {
                    $(Self::$variant(buffer) => {
                        Self::$variant(buffer.get(range).unwrap_or_default().to_vec().into())
                    })*
                }
            };
        }
        sliced!(
            Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float16, BFloat16,
            Float32, Float64, String
        )
    }

    /// All elements of several, one after the other; `None` where their types differ, or there are
    /// none.
    fn concat(parts: &[&Self]) -> Option<Self> {
        macro_rules! joined {
            ($($variant:ident),*) => {
                match parts.first()? {
                    $(Self::$variant(_) => {
                        let mut all = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
                        for part in parts {
                            let Self::$variant(buffer) = part else {
                                return None;
                            };
                            all.extend_from_slice(buffer);
                        }
                        Some(Self::$variant(all.into()))
                    })*
                }
            };
        }
        joined!(
            Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float16, BFloat16,
            Float32, Float64, String
        )
    }
}

impl Tensor {
    /// A copy of some records along axis 0; none of a scalar, and of records that are not there.
    #[must_use]
    pub fn slice_rows(&self, rows: Range<usize>) -> Self {
        let size = self.data.len().checked_div(self.rows()).unwrap_or(0);
        let end = rows.end.min(self.rows());
        let begin = rows.start.min(end);
        let mut shape = self.shape.clone();
        match shape.first_mut() {
            Some(count) => *count = end - begin,
            None => shape.push(0),
        }
        let range = match self.shape.is_empty() {
            true => 0..0,
            false => begin * size..end * size,
        };
        Self {
            shape,
            data: self.data.slice(range),
        }
    }

    /// The records of several, one after the other along axis 0; `None` where their types or the
    /// shapes of their records differ, where one is a scalar, or where there are none.
    #[must_use]
    pub fn concat_rows(parts: &[&Self]) -> Option<Self> {
        let (_, record) = parts.first()?.shape.split_first()?;
        let same = |part: &&Self| part.shape.get(1..) == Some(record);
        if !parts
            .iter()
            .all(|part| !part.shape.is_empty() && same(part))
        {
            return None;
        }
        let mut shape = vec![parts.iter().map(|part| part.rows()).sum()];
        shape.extend_from_slice(record);
        let data: Vec<&Data> = parts.iter().map(|part| &part.data).collect();
        Self::new(shape, Data::concat(&data)?).ok()
    }
}

impl Value {
    /// Records along axis 0; `None` where there is no such axis.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        match self {
            Self::Tensor(tensor) | Self::Maps { values: tensor, .. } => {
                tensor.shape.first().copied()
            }
            Self::Sequence(_) | Self::Map { .. } | Self::Absent => None,
        }
    }

    /// A copy of some records; `None` where there is no such axis.
    #[must_use]
    pub fn slice_rows(&self, rows: Range<usize>) -> Option<Self> {
        match self {
            Self::Tensor(tensor) => {
                (!tensor.shape.is_empty()).then(|| Self::Tensor(tensor.slice_rows(rows)))
            }
            Self::Maps { keys, values } => Some(Self::Maps {
                keys: keys.clone(),
                values: values.slice_rows(rows),
            }),
            Self::Sequence(_) | Self::Map { .. } | Self::Absent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_taken_out_whole() {
        let data = Data::Int64(vec![1, 2, 3, 4, 5, 6].into());
        let tensor = Tensor::new(vec![3, 2], data).unwrap();
        let middle = tensor.slice_rows(1..2);
        assert_eq!(middle.shape(), [1, 2]);
        assert_eq!(middle.data(), &Data::Int64(vec![3, 4].into()));
        assert_eq!(tensor.slice_rows(2..9).shape(), [1, 2]);
        assert_eq!(tensor.slice_rows(7..9).shape(), [0, 2]);
        let scalar = Tensor::new(vec![], Data::Bool(vec![true].into())).unwrap();
        assert!(scalar.slice_rows(0..1).data().is_empty());
    }

    fn ints(shape: &[usize], elements: &[i64]) -> Tensor {
        Tensor::new(shape.to_vec(), Data::Int64(elements.to_vec().into())).unwrap()
    }

    #[test]
    fn records_are_put_together_and_taken_apart_again() {
        let (one, two) = (ints(&[1, 2], &[1, 2]), ints(&[2, 2], &[3, 4, 5, 6]));
        let all = Tensor::concat_rows(&[&one, &two]).unwrap();
        assert_eq!(all, ints(&[3, 2], &[1, 2, 3, 4, 5, 6]));
        assert_eq!(all.slice_rows(0..1), one);
        assert_eq!(all.slice_rows(1..3), two);
        let values = Value::Tensor(all);
        assert_eq!(values.rows(), Some(3));
        assert_eq!(values.slice_rows(1..3), Some(Value::Tensor(two)));
        assert_eq!(Value::Absent.slice_rows(0..1), None);
    }

    #[test]
    fn what_does_not_fit_is_not_put_together() {
        let one = ints(&[1, 2], &[1, 2]);
        let float = Tensor::new(vec![1, 2], Data::Float32(vec![0.0; 2].into())).unwrap();
        let scalar = ints(&[], &[7]);
        assert!(Tensor::concat_rows(&[]).is_none());
        assert!(Tensor::concat_rows(&[&one, &float]).is_none());
        assert!(Tensor::concat_rows(&[&one, &ints(&[1, 3], &[1, 2, 3])]).is_none());
        assert!(Tensor::concat_rows(&[&scalar, &scalar]).is_none());
    }
}
