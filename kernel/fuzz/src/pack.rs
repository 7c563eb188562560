//! Many small inputs in one file: two bytes of length, little-endian, before
//! each.

/// Inputs as one file. Those that are too long for their length to be written are left out.
pub fn pack(inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for input in inputs {
        if let Ok(length) = u16::try_from(input.len()) {
            file.extend(length.to_le_bytes());
            file.extend(input);
        }
    }
    file
}

/// The inputs in a file; `None` if it ends in the middle of one.
pub fn unpack(file: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let (input, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        inputs.push(input.to_vec());
        rest = after;
    }
    Some(inputs)
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn what_was_packed_comes_out_and_half_an_input_does_not() {
        let inputs = vec![vec![1, 2, 3], vec![], vec![9; 300]];
        let file = pack(&inputs);
        assert_eq!(unpack(&file), Some(inputs));
        assert_eq!(unpack(&file[..file.len() - 1]), None);
        assert_eq!(unpack(&[]), Some(vec![]));
    }
}
