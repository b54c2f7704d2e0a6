//! Records along axis 0: taken out, and put together.

use std::ops::Range;

use super::{Buffer, Data, Tensor, Value};

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

    /// The same elements with room for so many in all.
    ///
    /// # Errors
    /// The bytes that could not be had.
    fn with_room(self, elements: usize) -> Result<Self, usize> {
        macro_rules! roomy {
            ($($variant:ident),*) => {
                match self {
                    $(Self::$variant(buffer) => Ok(Self::$variant(buffer.with_room(elements)?)),)*
                }
            };
        }
        roomy!(
            Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float16, BFloat16,
            Float32, Float64, String
        )
    }

    /// Puts these elements behind; whether they are of the same type.
    fn append(&mut self, behind: Self) -> bool {
        macro_rules! appended {
            ($($variant:ident),*) => {
                match (self, behind) {
                    $((Self::$variant(all), Self::$variant(behind)) => {
                        all.append(behind);
                        true
                    })*
                    _ => false,
                }
            };
        }
        appended!(
            Bool, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Float16, BFloat16,
            Float32, Float64, String
        )
    }
}

impl<T: Clone> Buffer<T> {
    fn into_owned(self) -> Vec<T> {
        match self {
            Self::Owned(elements) => elements,
            Self::Held(held) => held.elements().to_vec(),
        }
    }

    fn with_room(self, elements: usize) -> Result<Self, usize> {
        let mut roomy = Vec::new();
        roomy
            .try_reserve_exact(elements.max(self.len()))
            .map_err(|_| elements.saturating_mul(size_of::<T>()))?;
        match self {
            Self::Owned(own) => roomy.extend(own),
            Self::Held(held) => roomy.extend_from_slice(held.elements()),
        }
        Ok(Self::Owned(roomy))
    }

    fn append(&mut self, behind: Self) {
        let mut all = std::mem::replace(self, Self::Owned(Vec::new())).into_owned();
        match behind {
            Self::Owned(behind) => all.extend(behind),
            Self::Held(behind) => all.extend_from_slice(behind.elements()),
        }
        *self = Self::Owned(all);
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

    /// The same records with room for so many in all.
    fn with_room(self, rows: usize) -> Result<Self, usize> {
        let size = self.data.len().checked_div(self.rows()).unwrap_or(0);
        Ok(Self {
            data: self.data.with_room(size.saturating_mul(rows))?,
            shape: self.shape,
        })
    }

    /// Puts these records behind; whether they are alike in type and shape.
    fn append_rows(&mut self, behind: Self) -> bool {
        let (Some((_, own)), Some((more, record))) =
            (self.shape.split_first(), behind.shape.split_first())
        else {
            return false;
        };
        if own != record || !self.data.append(behind.data) {
            return false;
        }
        self.shape[0] += more;
        true
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

    /// The same records with room for so many in all, so that others can be put behind them.
    ///
    /// # Errors
    /// The bytes that could not be had.
    pub fn with_room(self, rows: usize) -> Result<Self, usize> {
        Ok(match self {
            Self::Tensor(tensor) => Self::Tensor(tensor.with_room(rows)?),
            Self::Maps { keys, values } => Self::Maps {
                keys,
                values: values.with_room(rows)?,
            },
            other => other,
        })
    }

    /// Puts these records behind along axis 0. False where they are not alike in type, in the shape of a
    /// record and in keys, or where there is no such axis: then this value is as it was.
    pub fn append_rows(&mut self, behind: Self) -> bool {
        match (self, behind) {
            (Self::Tensor(all), Self::Tensor(behind)) => all.append_rows(behind),
            (
                Self::Maps { keys, values },
                Self::Maps {
                    keys: same,
                    values: behind,
                },
            ) => *keys == same && values.append_rows(behind),
            _ => false,
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
    fn records_are_put_behind_others_where_they_are_alike() {
        let mut all = Value::Tensor(ints(&[1, 2], &[1, 2])).with_room(3).unwrap();
        for unlike in [ints(&[1, 3], &[1, 2, 3]), ints(&[], &[7])] {
            assert!(!all.append_rows(Value::Tensor(unlike)));
        }
        let float = Tensor::new(vec![1, 2], Data::Float32(vec![0.0; 2].into())).unwrap();
        assert!(!all.append_rows(Value::Tensor(float)));
        assert!(!all.append_rows(Value::Absent));
        assert!(all.append_rows(Value::Tensor(ints(&[2, 2], &[3, 4, 5, 6]))));
        assert_eq!(all, Value::Tensor(ints(&[3, 2], &[1, 2, 3, 4, 5, 6])));
        let wide = Value::Tensor(ints(&[1, 2], &[1, 2]));
        assert_eq!(wide.with_room(usize::MAX / 4), Err(usize::MAX));
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
