"""From a network to a graph of units: what is left out, how many lanes each unit gets, and how long all of it takes."""
