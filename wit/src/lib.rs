//! banhbaoring-contract
