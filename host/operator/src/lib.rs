//! banhbaoring-operator
