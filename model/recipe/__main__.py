"""`python -m recipe STAGE`: run one stage of the recipe (see `--help`)."""

import argparse
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Parse the command line and run the stage; its heavy imports happen here only."""
    parser = argparse.ArgumentParser(prog="python -m recipe", description="How the bundled model is made.")
    parser.add_argument("stage", choices=["prepare", "train", "export", "calibrate"])
    parser.add_argument("--data", type=Path, help="folder of the training data's Parquet files")
    parser.add_argument("--encoder", type=Path, help="folder of MiniLM-L6's weights and tokenizer")
    parser.add_argument("--work", type=Path, default=Path("work"), help="folder of intermediate files")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="the model folder to write")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "recipe.toml").read_text(encoding="utf-8"))

    if arguments.stage == "prepare":
        from recipe.prepare import prepare

        prepare(arguments.data, arguments.encoder, arguments.work, config)
    elif arguments.stage == "export":
        from recipe.export import export

        export(arguments.encoder, arguments.work, arguments.output, config)
    elif arguments.stage == "train":
        from recipe.train import train

        train(arguments.encoder, arguments.work, config)


if __name__ == "__main__":
    main()
