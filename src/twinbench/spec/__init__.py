"""Studies, models and trainings as typed values: `config` reads them from files; training and evaluation use them."""
